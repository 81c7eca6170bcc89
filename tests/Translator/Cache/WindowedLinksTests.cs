using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Translator.Cache;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation;
using Dbt.Translator.Interpretation.Threaded;
using Dbt.Translator.State;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Cache;

/// <summary>How code that goes by the address window and code that doesn't lead to one another: never to the former where there may be no window, and back to it at the next computed jump.</summary>
public sealed unsafe class WindowedLinksTests : IDisposable
{
    private const uint Code = 0x10000;

    private readonly TestPlatform _platform = new();
    private readonly InstancePool _instances = new();
    private readonly JumpTable _jumps = new();
    private readonly JumpTargets _targets = new();
    private readonly Interpreter _interpreter;
    private readonly CodeCache _cache;
    private readonly RegionCompiler _compiler;
    private readonly LinkCell* _cells = (LinkCell*)NativeMemory.AllocZeroed(2, (nuint)sizeof(LinkCell));
    private readonly CodeBlock _plain, _windowed;

    public WindowedLinksTests()
    {
        _platform.Assemble(Code, a =>
        {
            a.mov(eax, __dword_ptr[0x20000]);
            a.mov(__dword_ptr[0x21000], eax);
            a.@int(0x80);
        });
        _interpreter = new Interpreter(_platform);
        _cache = new CodeCache(_platform, _platform.Cpu, _instances, _jumps, int.MaxValue);
        _compiler = new RegionCompiler(_platform.Cpu, TierPolicy.Of(new EngineOptions { Kind = EngineKind.Optimized, WarmUp = 0 }), _cache, _targets);
        _platform.Cpu->Eip = Code;
        Assert.True(_interpreter.TryFetch(_platform.Cpu, out byte* host));
        _plain = _cache.Get((nint)host, Code, _platform.Cpu->Mode);
        _windowed = _cache.Get((nint)host, Code, _platform.Cpu->Mode | CpuMode.Window);
        (_plain.Windowed, _windowed.Plain) = (_windowed, _plain);
    }

    public void Dispose()
    {
        NativeMemory.Free(_cells);
        _interpreter.Dispose();
        _targets.Dispose();
        _jumps.Dispose();
        _instances.Dispose();
        _platform.Dispose();
    }

    [X64Fact]
    public void LinksFromCodeByTheWindowFollowItsKindAndOthersStay()
    {
        Translation plain = InstallPlain();
        Link fromPlain = LinkTo(_plain, 0, windowed: false), fromWindowed = LinkTo(_plain, 1, windowed: true);
        Assert.Equal((plain.Function, plain.Function), (_cells[0].Function, _cells[1].Function));

        Translation windowed = InstallWindowed(plain);
        Assert.Equal((plain.Function, windowed.Function), (_cells[0].Function, _cells[1].Function));
        Assert.Equal((plain.Instance, windowed.Instance), (_cells[0].Instance, _cells[1].Instance));
        Assert.Equal((_plain, _windowed), (fromPlain.To, fromWindowed.To));

        _cache.Drop(windowed);
        Assert.Equal((plain.Function, 0), (_cells[0].Function, _cells[1].Function));
        _cache.Drop(plain);
        Assert.Equal(0, _cells[0].Function);
    }

    [X64Fact]
    public void AProgramWithAWindowFindsTheBestThereIsAndOthersWhatNeedsNone()
    {
        Translation plain = InstallPlain();
        Assert.Equal(plain.Function, Found(windowed: false));
        Assert.Equal(0, Found(windowed: true));
        _jumps.Set(_plain, windowed: true);
        Assert.Equal(plain.Function, Found(windowed: true));

        Translation windowed = InstallWindowed(plain);
        Assert.Equal((plain.Function, windowed.Function), (Found(windowed: false), Found(windowed: true)));

        _cache.Drop(windowed);
        Assert.Equal((plain.Function, 0), (Found(windowed: false), Found(windowed: true)));
        _jumps.Set(_plain, windowed: true);
        _cache.Drop(plain);
        Assert.Equal((0, 0), (Found(windowed: false), Found(windowed: true)));
    }

    private Translation InstallPlain()
    {
        Translation plain = _compiler.Build(_plain, optimize: true)!;
        _compiler.Compile(plain);
        _cache.Install(plain, _compiler.EntriesOf(plain), 0);
        Assert.True(plain.Code!.IsNative);
        return plain;
    }

    private Translation InstallWindowed(Translation plain)
    {
        Translation windowed = _compiler.BuildWindowed(plain);
        _compiler.Compile(windowed);
        Assert.False(windowed.IsRefused);
        _cache.Install(windowed, _compiler.EntriesOf(windowed), 0);
        Assert.Equal(windowed.Function, _windowed.Function);
        return windowed;
    }

    private Link LinkTo(CodeBlock block, int number, bool windowed)
    {
        var link = new Link(_cells + number, number, Code, native: true, windowed);
        link.Connect(block);
        return link;
    }

    /// <summary>The function to which a computed jump to the code leads, as emitted code finds it.</summary>
    private nint Found(bool windowed)
    {
        byte* entry = (byte*)_jumps.Address(native: true, windowed) + (((Code ^ (Code >> JumpTable.HashShift)) & JumpTable.Mask) << JumpTable.EntryShift);
        return *(uint*)entry == Code && *(CpuMode*)(entry + 4) == JumpTable.KeyOf(_plain.Mode | CpuMode.Window) ? *(nint*)(entry + 16) : 0;
    }
}
