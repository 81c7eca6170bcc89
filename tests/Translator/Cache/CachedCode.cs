using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Threaded;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>A cache with what it works on, and a piece of code that loads and stores a word.</summary>
internal sealed unsafe class CachedCode : IDisposable
{
    /// <summary>Where the code is.</summary>
    public const uint Code = 0x10000;

    private readonly JumpTargets _targets = new();

    public CachedCode()
    {
        Platform.Assemble(Code, a =>
        {
            a.mov(eax, __dword_ptr[0x20000]);
            a.mov(__dword_ptr[0x21000], eax);
            a.@int(0x80);
        });
        Interpreter = new Interpreter(Platform);
        Cache = new CodeCache(Platform, Platform.Cpu, Instances, Jumps, int.MaxValue);
        Compiler = new RegionCompiler(Platform.Cpu, TierPolicy.Of(new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0 }), Cache, _targets);
        Platform.Cpu->Eip = Code;
        Assert.True(Interpreter.TryFetch(Platform.Cpu, out byte* host));
        Block = Cache.Get((nint)host, Code, Platform.Cpu->Mode);
    }

    public TestPlatform Platform { get; } = new();

    public InstancePool Instances { get; } = new();

    public JumpTable Jumps { get; } = new();

    public Interpreter Interpreter { get; }

    public CodeCache Cache { get; }

    public RegionCompiler Compiler { get; }

    /// <summary>The block at <see cref="Code"/>.</summary>
    public CodeBlock Block { get; }

    /// <summary>Compiles a translation and lets it run.</summary>
    public Translation Install(Translation translation)
    {
        Compiler.Compile(translation);
        Cache.Install(translation, Compiler.EntriesOf(translation), 0);
        return translation;
    }

    public void Dispose()
    {
        Interpreter.Dispose();
        _targets.Dispose();
        Jumps.Dispose();
        Instances.Dispose();
        Platform.Dispose();
    }
}
