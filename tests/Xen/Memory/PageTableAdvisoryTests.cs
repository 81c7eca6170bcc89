using Dbt.Perf.Fuzz;
using Dbt.Translator.Memory;
using Dbt.Xen;
using Dbt.Xen.Memory;
using static Dbt.Tests.Xen.Memory.MemoryFixture;

namespace Dbt.Tests.Xen.Memory;

/// <summary>Xen's advisories on page tables and memory operations, as far as other classes don't have them. A guest's calls, on tables of its own.</summary>
public sealed unsafe class PageTableAdvisoryTests : IDisposable
{
    private readonly MemoryFixture _f = new();

    public void Dispose() => _f.Dispose();

    [Fact]
    public void XSA_309_a_linear_entry_of_a_table_that_is_refused_counts_no_more()
    {
        // The new L2 leads to another L2, and then to something that is no table: it is refused whole.
        uint linear = _f.Page();
        _f.Table(linear)[3] = Entry(_f.L2, P);
        _f.Table(linear)[500] = Entry(_f.Pages[0], P);
        Assert.NotEqual(0, _f.Pin(linear, PageType.L2));
        Assert.Null(PageTableAudit.Find(_f.Domain));

        // What was led to may lead to another itself, as if nothing had been.
        uint third = _f.Page();
        Assert.Equal(0, _f.Pin(third, PageType.L2));
        Assert.Equal(0, _f.UpdateEntry(_f.L2, 7, Entry(third, P)));
        Assert.Null(PageTableAudit.Find(_f.Domain));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void XSA_299_310_a_validation_that_ends_early_gives_back_exactly_what_it_took(int level)
    {
        uint table = _f.Page();
        (uint good, int last) = level switch { 1 => (_f.Pages[3], 511), 2 => (_f.L1, 511), _ => (_f.L2, 2) };
        for (int i = 0; i <= last; i++)
        {
            _f.Table(table)[i] = Entry(good, level == 1 ? P | W : P);
        }

        _f.Table(table)[last] = Entry(_f.Hypervisor.Machine.FrameCount - 1, P);
        for (int i = 0; i < 5; i++)
        {
            Assert.NotEqual(0, _f.Pin(table, (PageType)level));
            Assert.Null(PageTableAudit.Find(_f.Domain));
        }
    }

    [Fact]
    public void XSA_408_nothing_is_left_in_the_software_TLB_when_an_entry_was_changed()
    {
        Assert.True(_f.TryResolve(0x5000, MemoryAccess.Write, user: false, out byte* before, out _));
        Assert.Equal(0, _f.UpdateEntry(_f.L1, 5, Entry(_f.Pages[6], P | U | A)));
        Assert.False(_f.InTlb(0x5000, MemoryAccess.Write));
        Assert.False(_f.TryResolve(0x5000, MemoryAccess.Write, user: false, out _, out _));
        Assert.True(_f.TryResolve(0x5000, MemoryAccess.Read, user: false, out byte* after, out _));
        Assert.True(before != after && after == (byte*)_f.Table(_f.Pages[6]));

        // The page is free to become a table only when nothing can write it.
        new Span<byte>(_f.Table(_f.Pages[5]), 4096).Clear();
        Assert.Equal(0, _f.Pin(_f.Pages[5], PageType.L1));
        Assert.Null(PageTableAudit.Find(_f.Domain));
    }

    [Fact]
    public void XSA_290_the_longest_validation_ends_and_is_undone_exactly()
    {
        // Three gigabytes of L2s that are full of L1s that are full of pages: some 1.5 million entries, of which each table's are looked at once.
        uint full = _f.Page();
        for (int i = 0; i < 512; i++)
        {
            _f.Table(full)[i] = Entry(_f.Pages[i % 32], P | W);
        }

        uint root = _f.SecondRoot(out _);
        for (int gigabyte = 0; gigabyte < 3; gigabyte++)
        {
            uint l2 = _f.Page();
            for (int i = 0; i < 512; i++)
            {
                _f.Table(l2)[i] = Entry(full, P | W);
            }

            _f.Table(root)[gigabyte] = Entry(l2, P);
        }

        Assert.Equal(0, _f.Pin(root, PageType.L3));
        Assert.Equal(3u * 512, _f.TypeCount(full));
        Assert.Null(PageTableAudit.Find(_f.Domain));
        Assert.Equal(0, _f.Unpin(root));
        Assert.Equal(0u, _f.TypeCount(full));
        Assert.Null(PageTableAudit.Find(_f.Domain));
    }

    [Theory]
    [InlineData(0u, 10u)]
    [InlineData(0u, 31u)]
    [InlineData(0u, uint.MaxValue)]
    [InlineData(6u, 10u)]
    [InlineData(6u, uint.MaxValue)]
    [InlineData(1u, 10u)]
    public void XSA_158_no_extent_is_larger_than_what_a_guest_may_ask_for(uint command, uint order)
    {
        // struct xen_memory_reservation: extent_start, nr_extents, extent_order, address_bits, domid.
        uint free = _f.Hypervisor.Machine.FreeFrames;
        (uint Address, uint Value)[] words = [(0, Arguments + 64), (4, 1), (8, order), (12, 0), (16, 0x7FF0)];
        foreach ((uint address, uint value) in words)
        {
            _f.Put(Arguments + address, value);
        }

        _f.Put(Arguments + 64, 0u);
        Assert.True(_f.Call(12, command, Arguments) <= 0, "pages of such an order were given");
        Assert.Equal(free, _f.Hypervisor.Machine.FreeFrames);
        Assert.Null(PageTableAudit.Find(_f.Domain));
    }

    [Fact]
    public void AnIdWhosePagesAreStillMappedIsNotGivenAgain()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        var granter = new MemoryFixture(hypervisor, pages: 8);
        ushort id = granter.Domain.Id;
        uint page = granter.Pages[3];
        Assert.True(hypervisor.Frames.TryGet(page, id)); // as a mapper of a grant holds it
        granter.Domain.Dispose();
        hypervisor.NextId = id;
        using (Domain next = hypervisor.CreateDomain("next", new Dbt.Translator.EngineOptions()))
        {
            Assert.NotEqual(id, next.Id);
            Assert.False(next.Memory.Owns(page));
        }

        hypervisor.Frames.Put(page);
        hypervisor.NextId = id;
        using Domain again = hypervisor.CreateDomain("again", new Dbt.Translator.EngineOptions());
        Assert.Equal(id, again.Id);
    }

    [Fact]
    public void SoftwareTlbsOfAllAddressSpacesStayWithinTheirBound()
    {
        // One L1 for all of an L2, which is that of three gigabytes: each 2 MiB touches pages of its own of all six tables.
        uint l2 = _f.Page();
        for (int i = 0; i < 512; i++)
        {
            _f.Table(l2)[i] = Entry(_f.L1, P | W | U | A);
        }

        long most = 0;
        for (int space = 0; space < 8; space++)
        {
            uint root = _f.SecondRoot(out _);
            for (int gigabyte = 1; gigabyte < 3; gigabyte++)
            {
                _f.Table(root)[gigabyte] = Entry(l2, P);
            }

            Assert.Equal(0, _f.Pin(root, PageType.L3)); // else it is gone when it is left
            Assert.Equal(0, _f.Memory.SwitchBase(_f.Vcpu, root));
            for (uint linear = 0x40000000; linear < 0xC0000000; linear += 0x200000)
            {
                for (int kind = 0; kind < 6; kind++)
                {
                    Assert.True(_f.TryResolve(linear + 0x3000, (MemoryAccess)(kind % 3), kind >= 3, out _, out _));
                }
            }

            Assert.InRange(_f.Memory.TlbBytes, 1, AddressSpaces.MostBytes + (64 << 10));
            most = Math.Max(most, _f.Memory.TlbBytes);
        }

        Assert.True(most > AddressSpaces.MostBytes / 2, "it was never much, so that nothing was shown");
        Assert.Null(PageTableAudit.Find(_f.Domain));
    }
}
