using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Threaded;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>What becomes of blocks and translations whose code is written at an awkward moment.</summary>
public sealed unsafe class CodeCacheTests : IDisposable
{
    private const uint Code = 0x10000;

    private readonly TestPlatform _platform = new();
    private readonly InstancePool _instances = new();
    private readonly JumpTable _jumps = new();
    private readonly Interpreter _interpreter;
    private readonly CodeCache _cache;
    private readonly CodeBlock _block;

    public CodeCacheTests()
    {
        _platform.Assemble(Code, a =>
        {
            a.mov(eax, __dword_ptr[0x20000]);
            a.mov(__dword_ptr[0x21000], eax);
            a.@int(0x80);
        });
        _interpreter = new Interpreter(_platform);
        _cache = new CodeCache(_platform, _platform.Cpu, _instances, _jumps, int.MaxValue);
        _platform.Cpu->Eip = Code;
        Assert.True(_interpreter.TryFetch(_platform.Cpu, out byte* host));
        _block = _cache.Get((nint)host, Code, _platform.Cpu->Mode);
    }

    public void Dispose()
    {
        _interpreter.Dispose();
        _jumps.Dispose();
        _instances.Dispose();
        _platform.Dispose();
    }

    [Fact]
    public void ATranslationDroppedBetweenCompilerAndInstallationIsNeverInstalled()
    {
        using var targets = new JumpTargets();
        var compiler = new RegionCompiler(_platform.Cpu, TierPolicy.Of(new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0 }), _cache, targets);
        Translation translation = compiler.Build(_block, optimize: true)!;
        _block.RegionPending = true;
        compiler.Compile(translation);
        Assert.NotEmpty(translation.Code!.Sites);
        Assert.True(_cache.Invalidate(Code >> 12, 0, 1));
        Assert.True(translation.Dropped);

        // What the dispatcher does with it when it comes from the queue.
        compiler.Abandon(translation);
        Assert.False(_block.RegionPending);
        Assert.Equal(0, translation.Instance);
        Assert.Equal(0, _block.Function);
    }

    [Fact]
    public void AnInstanceIsFreedWithItsTranslationAndItsNumbersAreUsedAgain()
    {
        using var targets = new JumpTargets();
        var compiler = new RegionCompiler(_platform.Cpu, TierPolicy.Of(new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0 }), _cache, targets);
        for (int i = 0; i < 3; i++)
        {
            Translation translation = compiler.Build(_block, optimize: true)!;
            compiler.Compile(translation);
            _cache.Install(translation, compiler.EntriesOf(translation), 0);
            Assert.Same(translation, _instances.TranslationOf(translation.Instance));
            Assert.Equal(0, *(long*)(translation.Instance + InstanceLayout.Number));
            Assert.Equal(translation.Function, _block.Function);
            _cache.Drop(translation);
            Assert.Equal(0, translation.Instance);
            Assert.Equal(0, _block.Function);
        }
    }

    [Fact]
    public void AForgottenBlockIsNotRunByThoseThatAreLinkedToIt()
    {
        Assert.True(_interpreter.TryDecodeBlock(_platform.Cpu, 8, out DecodedBlock? decoded));
        _cache.SetDecoded(_block, decoded);
        Assert.True(decoded.Valid);
        _cache.ForgetDecoded(_block);
        Assert.False(decoded.Valid);
        Assert.Null(_block.Decoded);
    }
}
