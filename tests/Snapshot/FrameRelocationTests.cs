using System.Runtime.InteropServices;
using Dbt.Translator;
using Dbt.Xen;
using Dbt.Xen.Memory;
using Dbt.Xen.Snapshot;

namespace Dbt.Tests.Snapshot;

/// <summary>
/// A guest's tables with other frames. Each page gets the frame that another page had, so that what is rewritten twice, or not at all, leads to a wrong one.
/// </summary>
public sealed unsafe class FrameRelocationTests : IDisposable
{
    private const int Pages = 8;
    private const ulong NoExecute = 1UL << 63;
    private const uint Nobodys = 0x7777;

    private readonly Hypervisor _machine = new();
    private readonly uint[] _was = new uint[Pages], _now = new uint[Pages];
    private readonly FrameRelocation _relocation;

    public FrameRelocationTests()
    {
        Domain domain = _machine.CreateDomain("moved", new EngineOptions { Kind = EngineKind.Interpreter });
        domain.Memory.MaxPages = Pages;
        for (int i = 0; i < Pages; i++)
        {
            Assert.True(domain.Memory.TryAddPage(out _now[i]));
        }

        _relocation = new FrameRelocation(domain);
        for (int i = 0; i < Pages; i++)
        {
            _was[i] = _now[(i + 1) % Pages];
            _relocation.Numbers.Set(_was[i], _now[i]);
        }
    }

    public void Dispose() => _machine.Dispose();

    /// <summary>As Linux has it: parts that are missing share a page, and entries have marks.</summary>
    [Fact]
    public void TheP2mAndItsListsAreRewrittenOnce()
    {
        const int listList = 0, list = 1, missingList = 2, p2m = 3, missing = 4;
        const uint invalid = 0xFFFFFFFF, identity = 0x40000123, foreign = 0x80000003;
        Words(listList).Fill(_was[missingList]);
        Words(listList)[0] = _was[list];
        Words(list).Fill(_was[missing]);
        Words(list)[0] = _was[p2m];
        Words(missingList).Fill(_was[missing]);
        Words(missing).Fill(invalid);
        ((ReadOnlySpan<uint>)[_was[5], _was[p2m], invalid, identity, foreign, Nobodys, 0]).CopyTo(Words(p2m));
        Words(5).Fill(_was[6]);
        Assert.Equal(_now[listList], _relocation.RewriteP2m(_was[listList], pages: 3 << 20));
        Assert.Equal([_now[list], _now[missingList], _now[missingList], _now[missingList], _was[missingList]], Words(listList)[..5].ToArray());
        Assert.Equal([_now[p2m], _now[missing]], Words(list)[..2].ToArray());
        Assert.Equal(_now[missing], Words(missingList)[1023]);
        Assert.Equal(invalid, Words(missing)[7]);
        Assert.Equal([_now[5], _now[p2m], invalid, identity, foreign, Nobodys, 0], Words(p2m)[..7].ToArray());

        // Data is nobody's business.
        Assert.Equal(_was[6], Words(5)[0]);
        Assert.Equal(0u, _relocation.RewriteP2m(Nobodys, pages: 1024));
    }

    [Fact]
    public void PageTablesAreRewrittenOnce()
    {
        const int l3 = 0, l2 = 1, l1 = 2, data = 3;
        Entries(l3)[0] = Entry(_was[l2], 1);
        Entries(l3)[4] = Entry(_was[l2], 1);
        Entries(l2)[0] = Entry(_was[l1], 0x67);
        Entries(l2)[1] = Entry(_was[l2], 0x61);
        Entries(l1)[0] = Entry(_was[data], 0x63) | NoExecute;
        Entries(l1)[1] = Entry(Nobodys, 0x63);
        Entries(l1)[2] = Entry(_was[data], 0x62);
        Entries(l1)[3] = Entry(_was[l1], 0x21);
        Entries(data)[0] = Entry(_was[l1], 0x21);
        _relocation.RewriteTables([(_now[l1], PageType.L1), (_now[l3], PageType.L3)]);
        Assert.Equal(Entry(_now[l2], 1), Entries(l3)[0]);

        // No entry of an L3 that has four.
        Assert.Equal(Entry(_was[l2], 1), Entries(l3)[4]);
        Assert.Equal([Entry(_now[l1], 0x67), Entry(_now[l2], 0x61)], Entries(l2)[..2].ToArray());
        Assert.Equal([Entry(_now[data], 0x63) | NoExecute, 0, Entry(_was[data], 0x62), Entry(_now[l1], 0x21)], Entries(l1)[..4].ToArray());
        Assert.Equal(Entry(_was[l1], 0x21), Entries(data)[0]);
    }

    private static ulong Entry(uint mfn, ulong flags) => ((ulong)mfn << 12) | flags;

    private Span<uint> Words(int page) => new(_machine.Machine.Frame(_now[page]), 1024);

    private Span<ulong> Entries(int page) => MemoryMarshal.Cast<uint, ulong>(Words(page));
}
