using System.Runtime.InteropServices;
using Dbt.Translator.Cache;
using Dbt.Translator.State;

namespace Dbt.Tests.Translator.Cache;

/// <summary>How code that goes by the address window and code that doesn't lead to one another: never to the former where there may be no window, and back to it at the next computed jump.</summary>
public sealed unsafe class WindowedLinksTests : IDisposable
{
    private readonly CachedCode _f = new();
    private readonly LinkCell* _cells = (LinkCell*)NativeMemory.AllocZeroed(2, (nuint)sizeof(LinkCell));
    private readonly CodeBlock _plain, _windowed;

    public WindowedLinksTests()
    {
        _plain = _f.Block;
        _windowed = _f.Cache.Get(_plain.Host, _plain.Eip, _plain.Mode | CpuMode.Window);
        (_plain.Windowed, _windowed.Plain) = (_windowed, _plain);
    }

    public void Dispose()
    {
        NativeMemory.Free(_cells);
        _f.Dispose();
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

        _f.Cache.Drop(windowed);
        Assert.Equal((plain.Function, 0), (_cells[0].Function, _cells[1].Function));
        _f.Cache.Drop(plain);
        Assert.Equal(0, _cells[0].Function);
    }

    [X64Fact]
    public void AProgramWithAWindowFindsTheBestThereIsAndOthersWhatNeedsNone()
    {
        Translation plain = InstallPlain();
        Assert.Equal(plain.Function, Found(windowed: false));
        Assert.Equal(0, Found(windowed: true));
        _f.Jumps.Set(_plain, windowed: true);
        Assert.Equal(plain.Function, Found(windowed: true));

        Translation windowed = InstallWindowed(plain);
        Assert.Equal((plain.Function, windowed.Function), (Found(windowed: false), Found(windowed: true)));

        _f.Cache.Drop(windowed);
        Assert.Equal((plain.Function, 0), (Found(windowed: false), Found(windowed: true)));
        _f.Jumps.Set(_plain, windowed: true);
        _f.Cache.Drop(plain);
        Assert.Equal((0, 0), (Found(windowed: false), Found(windowed: true)));
    }

    private Translation InstallPlain()
    {
        Translation plain = _f.Install(_f.Compiler.Build(_plain, optimize: true)!);
        Assert.True(plain.Code!.IsNative);
        return plain;
    }

    private Translation InstallWindowed(Translation plain)
    {
        Translation windowed = _f.Install(_f.Compiler.BuildWindowed(plain));
        Assert.Equal(windowed.Function, _windowed.Function);
        return windowed;
    }

    private Link LinkTo(CodeBlock block, int number, bool windowed)
    {
        var link = new Link(_cells + number, number, CachedCode.Code, native: true, windowed);
        link.Connect(block);
        return link;
    }

    /// <summary>The function to which a computed jump to the code leads, as emitted code finds it.</summary>
    private nint Found(bool windowed)
    {
        byte* entry = (byte*)_f.Jumps.Address(native: true, windowed) + (((CachedCode.Code ^ (CachedCode.Code >> JumpTable.HashShift)) & JumpTable.Mask) << JumpTable.EntryShift);
        return *(uint*)entry == CachedCode.Code && *(CpuMode*)(entry + 4) == JumpTable.KeyOf(_plain.Mode | CpuMode.Window) ? *(nint*)(entry + 16) : 0;
    }
}
