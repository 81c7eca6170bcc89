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
    private readonly ExitTable _exits = new();
    private readonly LinkPool _links = new();
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
        _cache = new CodeCache(_platform, _platform.Cpu, _exits, _links, _jumps, int.MaxValue);
        _platform.Cpu->Eip = Code;
        Assert.True(_interpreter.TryFetch(_platform.Cpu, out byte* host));
        _block = _cache.Get((nint)host, Code, _platform.Cpu->Mode);
    }

    public void Dispose()
    {
        _interpreter.Dispose();
        _jumps.Dispose();
        _links.Dispose();
        _platform.Dispose();
    }

    [Fact]
    public void ATranslationDroppedBetweenCompilerAndInstallationIsFreedOnce()
    {
        using var targets = new JumpTargets();
        var compiler = new RegionCompiler(
            _platform.Cpu, TierPolicy.Of(new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0 }), _cache, _exits, _links, _jumps, targets);
        Translation translation = compiler.Build(_block, optimize: true)!;
        _block.RegionPending = true;
        compiler.Compile(translation);
        int taken = translation.ExitCodes.Count;
        Assert.NotEqual(0, taken);
        Assert.True(_cache.Invalidate(Code >> 12, 0, 1));
        Assert.True(translation.Dropped);

        // What the dispatcher does with it when it comes from the queue.
        compiler.Abandon(translation);
        _cache.Free(translation);
        Assert.False(_block.RegionPending);
        int[] codes = [.. Enumerable.Range(0, 2 * taken).Select(_ => _exits.Add(default))];
        Assert.Equal(codes.Length, codes.Distinct().Count());
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
