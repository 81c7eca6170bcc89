using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation;

namespace Dbt.Tests.Translator.Cache;

/// <summary>What becomes of blocks and translations whose code is written at an awkward moment.</summary>
public sealed unsafe class CodeCacheTests : IDisposable
{
    private readonly CachedCode _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void ATranslationDroppedBetweenCompilerAndInstallationIsNeverInstalled()
    {
        Translation translation = _f.Compiler.Build(_f.Block, optimize: true)!;
        _f.Block.RegionPending = true;
        _f.Compiler.Compile(translation);
        Assert.NotEmpty(translation.Code!.Sites);
        Assert.True(_f.Cache.Invalidate(CachedCode.Code >> 12, 0, 1));
        Assert.True(translation.Dropped);

        // What the dispatcher does with it when it comes from the queue.
        _f.Compiler.Abandon(translation);
        Assert.False(_f.Block.RegionPending);
        Assert.Equal(0, translation.Instance);
        Assert.Equal(0, _f.Block.Function);
    }

    [Fact]
    public void AnInstanceIsFreedWithItsTranslationAndItsNumbersAreUsedAgain()
    {
        for (int i = 0; i < 3; i++)
        {
            Translation translation = _f.Install(_f.Compiler.Build(_f.Block, optimize: true)!);
            Assert.Same(translation, _f.Instances.TranslationOf(translation.Instance));
            Assert.Equal(0, *(long*)(translation.Instance + InstanceLayout.Number));
            Assert.Equal(translation.Function, _f.Block.Function);
            _f.Cache.Drop(translation);
            Assert.Equal(0, translation.Instance);
            Assert.Equal(0, _f.Block.Function);
        }
    }

    [Fact]
    public void AForgottenBlockIsNotRunByThoseThatAreLinkedToIt()
    {
        Assert.True(_f.Interpreter.TryDecodeBlock(_f.Platform.Cpu, 8, out DecodedBlock? decoded));
        _f.Cache.SetDecoded(_f.Block, decoded);
        Assert.True(decoded.Valid);
        _f.Cache.ForgetDecoded(_f.Block);
        Assert.False(decoded.Valid);
        Assert.Null(_f.Block.Decoded);
    }
}
