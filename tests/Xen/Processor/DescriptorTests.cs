using Dbt.Xen.Abi;
using Dbt.Xen.Memory;
using Dbt.Xen.Processor;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Processor;

/// <summary>GDT and LDT: what may stand in them, and what is read of them.</summary>
public sealed unsafe class DescriptorTests
{
    private const ulong FlatRing1 = 0x00CFBB000000FFFF, FlatRing0 = 0x00CF9B000000FFFF;

    private static ulong CallGate(ushort selector, uint offset, int dpl, int parameters = 0) =>
        (offset & 0xFFFF) | ((ulong)selector << 16) | ((ulong)parameters << 32) | (0x8CUL << 40) | ((ulong)dpl << 45)
        | ((ulong)(offset & 0xFFFF0000) << 32);

    private static ref ulong Entry(PvGuest guest, int index) => ref ((ulong*)guest.At(PvGuest.Table))[index];

    private static int SetGdt(PvGuest guest, uint entries) => guest.Call(2, guest.Put(guest.MfnOf(PvGuest.Table)), entries);

    [Theory]
    [InlineData(0x0000000000000000UL, true)]
    [InlineData(FlatRing1, true)]
    [InlineData(FlatRing0, true)]
    [InlineData(0x00AF9B000000FFFFUL, false)]
    [InlineData(0x0000890000000067UL, false)]
    [InlineData(0x0000820000000FFFUL, false)]
    [InlineData(0x00008E0000190000UL, false)]
    [InlineData(0x0000850000190000UL, false)]
    [InlineData(0x00008C00E0190000UL, true)]
    [InlineData(0x00008C00E0080000UL, false)]
    [InlineData(0x00008CE000190000UL, false)]
    [InlineData(0x0000800000190000UL, true)]
    [InlineData(0x0000090000000067UL, true)]
    public void Only_harmless_descriptors_are_taken(ulong descriptor, bool taken)
    {
        ulong copy = descriptor;
        Assert.Equal(taken, DescriptorCheck.TryFix(ref copy));
        using var guest = new PvGuest();
        Entry(guest, 511) = descriptor;
        Assert.Equal(taken ? 0 : -Errno.EINVAL, SetGdt(guest, 512));
        Assert.Equal(taken, guest.Domain.Memory.TypeOf(guest.MfnOf(PvGuest.Table)) == PageType.Descriptor);
    }

    [Fact]
    public void Ring_0_becomes_ring_1()
    {
        ulong descriptor = FlatRing0;
        Assert.True(DescriptorCheck.TryFix(ref descriptor));
        Assert.Equal(0x00CFBB000000FFFFUL, descriptor);
    }

    [Fact]
    public void Segments_that_end_below_the_hypervisor_are_extended()
    {
        ulong descriptor = 0x00CFBB000000FFFF & ~0x000F00000000FFFFUL | 0x000F_0000_0000_67FFUL;
        Assert.True(DescriptorCheck.TryFix(ref descriptor));
        Assert.Equal(0x00CFBB000000FFFFUL, descriptor);
    }

    [Fact]
    public void A_gdt_is_bounded_and_of_ones_own_plain_frames()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, SetGdt(guest, 512));
        Assert.Equal(-Errno.EINVAL, guest.Call(2, PvGuest.Arguments, Layout.FirstReservedGdtEntry + 1));
        Assert.Equal(-Errno.EFAULT, guest.Call(2, PvGuest.Unmapped, 1));
        Assert.Equal(-Errno.EINVAL, guest.Call(2, guest.Put(guest.MfnOf(PvGuest.Data)), 1));
        Assert.Equal(-Errno.EINVAL, guest.Call(2, guest.Put(guest.Root), 1));
        Assert.Equal(-Errno.EINVAL, guest.Call(2, guest.Put(uint.MaxValue), 1));
        Assert.Equal(-Errno.EINVAL, guest.Call(2, guest.Put(guest.MfnOf(PvGuest.Table), 0), 513));

        // Nothing of that has changed the table in force.
        Assert.Equal(512u, guest.Vcpu.Descriptors.GdtEntries);
        Assert.Equal(0, guest.Call(2, 0, 0));
        Assert.NotEqual(PageType.Descriptor, TypeInUse(guest));
    }

    [Fact]
    public void A_table_in_use_cannot_be_mapped_writable()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, SetGdt(guest, 8));
        Assert.False(guest.Domain.Memory.TryGetPageAndType(guest.MfnOf(PvGuest.Table), PageType.Writable));
    }

    [Fact]
    public void XSA_298_no_descriptor_is_read_beyond_the_limit()
    {
        using var guest = new PvGuest();
        Entry(guest, 7) = FlatRing1;
        Entry(guest, 8) = FlatRing1;
        Assert.Equal(0, SetGdt(guest, 8));
        Assert.True(guest.Vcpu.Descriptors.TryRead(7 << 3, out _));
        Assert.False(guest.Vcpu.Descriptors.TryRead(8 << 3, out _));
        Assert.False(guest.Vcpu.Descriptors.TryRead((7 << 3) | 4, out _));
        Assert.False(guest.Vcpu.Descriptors.TryRead(0xFFFF, out _));
        Assert.False(guest.Vcpu.Descriptors.TryRead(0xE008, out _));
        Assert.True(guest.Vcpu.Descriptors.TryRead(Layout.FlatRing3Ds, out _));
    }

    [Fact]
    public void XSA_298_an_ldt_is_read_within_its_limit_and_only_where_it_is_mapped()
    {
        using var guest = new PvGuest();
        Entry(guest, 3) = FlatRing1;
        Entry(guest, 4) = FlatRing1;
        guest.Vcpu.LoadLdt(PvGuest.Table, 4);
        Assert.True(guest.Vcpu.Descriptors.TryRead((3 << 3) | 4, out ulong descriptor));
        Assert.Equal(FlatRing1, descriptor);
        Assert.False(guest.Vcpu.Descriptors.TryRead((4 << 3) | 4, out _));
        guest.Vcpu.LoadLdt(PvGuest.Unmapped, 4);
        Assert.False(guest.Vcpu.Descriptors.TryRead((3 << 3) | 4, out _));
        guest.Vcpu.LoadLdt(PvGuest.Data, 4);
        Assert.False(guest.Vcpu.Descriptors.TryRead((3 << 3) | 4, out _));
        guest.Vcpu.LoadLdt(0xFFFFF000, 8192);
        Assert.False(guest.Vcpu.Descriptors.TryRead(0xFFFF, out _));
    }

    [Fact]
    public void Update_descriptor_writes_tables_and_plain_pages_and_nothing_else()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, SetGdt(guest, 512));
        uint table = guest.MfnOf(PvGuest.Table) << 12, data = guest.MfnOf(PvGuest.Data) << 12;
        Assert.Equal(0, guest.Call(10, table + 16, 0, 0x0000FFFF, 0x00CF9B00));
        Assert.Equal(FlatRing1, Entry(guest, 2));
        Assert.Equal(0, guest.Call(10, data + 8, 0, 0x0000FFFF, 0x00CFF300));
        Assert.Equal(0x00CFF300u, guest.Word(PvGuest.Data + 12));
        Assert.Equal(-Errno.EINVAL, guest.Call(10, table + 4, 0, 0, 0));
        Assert.Equal(-Errno.EINVAL, guest.Call(10, table, 0, 0x67, 0x8900));
        Assert.Equal(-Errno.EINVAL, guest.Call(10, guest.Root << 12, 0, 0, 0));
        Assert.Equal(-Errno.EINVAL, guest.Call(10, 0xFFFFF000, 0xFFFFFFFF, 0, 0));
        Assert.Equal(-Errno.EINVAL, guest.Call(10, 0, 0, 0, 0));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public void A_call_gate_leads_from_ring_3_to_ring_1_with_its_parameters(int parameters)
    {
        using var guest = new PvGuest();
        Entry(guest, 5) = CallGate(Layout.FlatRing1Cs, PvGuest.Handlers, 3, parameters);
        Assert.Equal(0, SetGdt(guest, 6));
        Assert.Equal(0UL, Entry(guest, 5) >> 45 & 3);
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        guest.Assemble(PvGuest.User, c =>
        {
            c.push(0x1111);
            c.push(0x2222);
            c.call((5 << 3) | 3, 0);
        });
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__dword_ptr[PvGuest.Data], esp);
            c.mov(__dword_ptr[PvGuest.Data + 4], cs);
            for (int i = 0; i < 6; i++)
            {
                c.mov(eax, __dword_ptr[esp + (i * 4)]);
                c.mov(__dword_ptr[PvGuest.Data + 8 + (i * 4)], eax);
            }

            PvGuest.PowerOff(c);
        });
        guest.Run(ToUser);

        Assert.Equal(PvGuest.KernelStackTop - 16 - ((uint)parameters * 4), guest.Word(PvGuest.Data));
        Assert.Equal(Layout.FlatRing1Cs, (ushort)guest.Word(PvGuest.Data + 4));
        uint[] frame = [.. Enumerable.Range(0, 4 + parameters).Select(i => guest.Word(PvGuest.Data + 8 + ((uint)i * 4)))];
        Assert.Equal(PvGuest.User + 17, frame[0]);
        Assert.Equal((uint)Layout.FlatRing3Cs, frame[1]);
        if (parameters == 2)
        {
            Assert.Equal([0x2222u, 0x1111u], frame[2..4]);
        }

        Assert.Equal([PvGuest.UserStackTop - 8, Layout.FlatRing3Ds], frame[^2..]);
    }

    [Theory]
    [InlineData((5 << 3) | 7)]
    [InlineData((5 << 3) | 3)]
    [InlineData((6 << 3) | 3)]
    public void A_gate_that_is_not_there_or_too_privileged_is_the_guests_own_fault(int selector)
    {
        using var guest = new PvGuest();
        Entry(guest, 5) = CallGate(Layout.FlatRing1Cs, PvGuest.Handlers, 1);
        Assert.Equal(0, SetGdt(guest, 6));
        guest.Trap(13, PvGuest.Handlers);
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.pop(__dword_ptr[PvGuest.Data]);
            PvGuest.PowerOff(c);
        });
        guest.Assemble(PvGuest.User, c => c.call((ushort)selector, 0));
        guest.Run(ToUser);
        Assert.Equal((uint)selector & ~3u, guest.Word(PvGuest.Data));
    }

    private static PageType TypeInUse(PvGuest guest) =>
        guest.Domain.Memory.TryGetPageAndType(guest.MfnOf(PvGuest.Table), PageType.Writable) ? PageType.Writable : PageType.Descriptor;

    private static void ToUser(Assembler c)
    {
        c.mov(eax, (int)Layout.FlatRing3Ds);
        c.mov(ds, eax);
        c.push((int)Layout.FlatRing3Ds);
        c.push((int)PvGuest.UserStackTop);
        c.push(0x202);
        c.push((int)Layout.FlatRing3Cs);
        c.push((int)PvGuest.User);
        c.iretd();
    }
}
