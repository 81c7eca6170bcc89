using Dbt.Translator.State;
using Dbt.Xen.Abi;
using static Dbt.Tests.Xen.Memory.MemoryFixture;

namespace Dbt.Tests.Xen.Memory;

/// <summary>Plain writes to page tables, through real instructions at linear 0x1000. The L1 table is mapped read-only at 0x3E000.</summary>
public sealed unsafe class PageTableWriteTests : IDisposable
{
    private const uint Code = 0x1000, Window = 0x3E000, Slot = Window + (300 * 8);
    private readonly MemoryFixture _f = new();
    private readonly CpuState* _cpu;

    public PageTableWriteTests()
    {
        _cpu = _f.Vcpu.State;
        Assert.Equal(0, _f.UpdateVa(Window, Entry(_f.L1, P)));
        foreach (SegmentIndex index in Enum.GetValues<SegmentIndex>())
        {
            ulong descriptor = index == SegmentIndex.Cs ? 0x00CFBB000000FFFFul : 0x00CFB3000000FFFFul;
            _cpu->Segments[index] = Segment.FromDescriptor(index == SegmentIndex.Cs ? Layout.FlatRing1Cs : Layout.FlatRing1Ds, descriptor);
        }

        _cpu->Cpl = 1;
        _cpu->RefreshMode();
    }

    public void Dispose() => _f.Dispose();

    [Fact]
    public void AMovIsACheckedUpdate()
    {
        // mov [Slot], eax ; mov [Slot+4], edx, the absent-to-present order: high half first.
        ulong entry = Entry(_f.Pages[20], P | W);
        _cpu->Gpr[(int)Gpr.Edx] = (uint)(entry >> 32);
        _cpu->Gpr[(int)Gpr.Eax] = (uint)entry;
        Run([0x89, 0x15, .. Address(Slot + 4)], Slot + 4);
        Run([0xA3, .. Address(Slot)], Slot);
        Assert.Equal(entry, _f.Table(_f.L1)[300]);
        Assert.Equal((3u, 2u), (_f.References(_f.Pages[20]), _f.TypeCount(_f.Pages[20])));
        Assert.Equal(Code + 5, _cpu->Eip);

        // mov dword [Slot], 0
        Run([0xC7, 0x05, .. Address(Slot), 0, 0, 0, 0], Slot);
        Assert.Equal((2u, 1u), (_f.References(_f.Pages[20]), _f.TypeCount(_f.Pages[20])));
    }

    [Fact]
    public void AForbiddenUpdateIsTheGuestsFault()
    {
        var before = _f.Counts(_f.L1);
        _cpu->Gpr[(int)Gpr.Eax] = (uint)Entry(_f.L1, P | W);
        RunRefused([0xA3, .. Address(Slot)], Slot);
        Assert.Equal((0ul, before), (_f.Table(_f.L1)[300], _f.Counts(_f.L1)));
        Assert.Equal((Vector.PageFault, 3u, Slot), (_cpu->Fault.Vector, _cpu->Fault.ErrorCode, _cpu->Fault.Address));
        Assert.Equal(Code, _cpu->Eip);
    }

    [Fact]
    public void ARefusedInstructionLeavesItsRegisters()
    {
        // xchg [Slot], eax with a forbidden value; xadd; push through ESP.
        _cpu->Gpr[(int)Gpr.Eax] = (uint)Entry(_f.L2, P | W);
        RunRefused([0x87, 0x05, .. Address(Slot)], Slot);
        Assert.Equal((uint)Entry(_f.L2, P | W), _cpu->Gpr[(int)Gpr.Eax]);
        _cpu->Eflags |= Flags.Cf;
        RunRefused([0x0F, 0xC1, 0x05, .. Address(Slot)], Slot);
        Assert.Equal((uint)Entry(_f.L2, P | W), _cpu->Gpr[(int)Gpr.Eax]);
        Assert.NotEqual(0u, _cpu->Eflags & Flags.Cf);
        _cpu->Gpr[(int)Gpr.Esp] = Slot + 4;
        RunRefused([0x50], Slot);
        Assert.Equal(Slot + 4, _cpu->Gpr[(int)Gpr.Esp]);
    }

    [Fact]
    public void ReadModifyWriteInstructionsWork()
    {
        _f.Memory.UpdateEntry(_f.L1, 300, Entry(_f.Pages[20], P | W | A | D), false, _f.Domain.Id);
        Run([0x83, 0x25, .. Address(Slot), 0xFD], Slot); // and dword [Slot], ~2: write-protected
        Assert.Equal(Entry(_f.Pages[20], P | A | D), _f.Table(_f.L1)[300]);
        Assert.Equal(1u, _f.TypeCount(_f.Pages[20]));
        Run([0x83, 0x0D, .. Address(Slot), 0x02], Slot); // or
        Assert.Equal(2u, _f.TypeCount(_f.Pages[20]));
        Run([0xF0, 0x0F, 0xBA, 0x35, .. Address(Slot), 0x06], Slot); // lock btr dword [Slot], 6: dirty
        Assert.Equal(Entry(_f.Pages[20], P | W | A), _f.Table(_f.L1)[300]);
        Assert.Equal(0ul, _f.Table(_f.L1)[300] & D);
        _cpu->Gpr[(int)Gpr.Eax] = 0;
        Run([0x87, 0x05, .. Address(Slot)], Slot); // xchg
        Assert.Equal((uint)Entry(_f.Pages[20], P | W | A), _cpu->Gpr[(int)Gpr.Eax]);
        Assert.Equal((2u, 1u), (_f.References(_f.Pages[20]), _f.TypeCount(_f.Pages[20])));
    }

    [Fact]
    public void CompareExchangeOfAWholeEntry()
    {
        ulong entry = Entry(_f.Pages[20], P | W | Nx);
        _cpu->Gpr[(int)Gpr.Eax] = 0;
        _cpu->Gpr[(int)Gpr.Edx] = 0;
        _cpu->Gpr[(int)Gpr.Ebx] = (uint)entry;
        _cpu->Gpr[(int)Gpr.Ecx] = (uint)(entry >> 32);
        byte[] code = [0xF0, 0x0F, 0xC7, 0x0D, .. Address(Slot)]; // lock cmpxchg8b [Slot]
        Run(code, Slot);
        Assert.Equal(entry, _f.Table(_f.L1)[300]);

        // Another expectation: nothing changes, the old value is told.
        Run(code, Slot);
        Assert.Equal(entry, _f.Table(_f.L1)[300]);
        Assert.Equal(((uint)entry, (uint)(entry >> 32)), (_cpu->Gpr[(int)Gpr.Eax], _cpu->Gpr[(int)Gpr.Edx]));
    }

    [Fact]
    public void AnUpperHalfWrittenFirstMakesTheEntryAbsent()
    {
        _f.Memory.UpdateEntry(_f.L1, 300, Entry(_f.Pages[20], P), false, _f.Domain.Id);
        _cpu->Gpr[(int)Gpr.Eax] = 0x40; // a frame far beyond the machine
        Run([0xA3, .. Address(Slot + 4)], Slot + 4);
        Assert.Equal((0x40ul << 32) | Entry(_f.Pages[20], 0), _f.Table(_f.L1)[300]);
        Assert.Equal(2u, _f.References(_f.Pages[20]));
    }

    [Fact]
    public void StringInstructionsDoOneStep()
    {
        _f.Memory.UpdateEntry(_f.L1, 300, Entry(_f.Pages[20], P), false, _f.Domain.Id);
        _cpu->Gpr[(int)Gpr.Eax] = 0;
        _cpu->Gpr[(int)Gpr.Ecx] = 3;
        _cpu->Gpr[(int)Gpr.Edi] = Slot;
        Run([0xF3, 0xAB], Slot); // rep stosd
        Assert.Equal((2u, Slot + 4, Code), (_cpu->Gpr[(int)Gpr.Ecx], _cpu->Gpr[(int)Gpr.Edi], _cpu->Eip));
        Assert.Equal(2u, _f.References(_f.Pages[20]));
        Assert.Equal(0u, _cpu->Eflags & Flags.Tf);

        // movsd from a page that isn't there: that fault is the guest's.
        _cpu->Gpr[(int)Gpr.Esi] = 0x40000000;
        RunRefused([0xA5], Slot);
        Assert.Equal((0u, 0x40000000u), (_cpu->Fault.ErrorCode, _cpu->Fault.Address));
    }

    [Fact]
    public void DirectoriesTakeWhatAHypercallWouldAndRootsNothing()
    {
        // GNU Mach writes an entry of its page directory that is there already.
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.L2, P)));
        Run([0xC7, 0x05, .. Address(0x3F000 + (7 * 8)), 0, 0, 0, 0], 0x3F000 + (7 * 8));
        uint table = _f.Page();
        _cpu->Gpr[(int)Gpr.Eax] = (uint)Entry(table, P);
        Run([0xA3, .. Address(0x3F000 + (7 * 8))], 0x3F000 + (7 * 8));
        Assert.Equal((Entry(table, P), Dbt.Xen.Memory.PageType.L1), (_f.Table(_f.L2)[7], _f.Memory.TypeOf(table)));
        _cpu->Gpr[(int)Gpr.Eax] = (uint)Entry(_f.Pages[20], P); // a page that is mapped writable
        RunRefused([0xA3, .. Address(0x3F000 + (8 * 8))], 0x3F000 + (8 * 8));
        Assert.Equal(0ul, _f.Table(_f.L2)[8]);
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.L3, P)));
        RunRefused([0xC7, 0x05, .. Address(0x3F008), 0, 0, 0, 0], 0x3F008);
        Assert.Equal((Vector.PageFault, 0x3F008u), (_cpu->Fault.Vector, _cpu->Fault.Address));
    }

    [Fact]
    public void OtherReadOnlyPagesAreNotEmulated()
    {
        Assert.Equal(0, _f.UpdateVa(0x3F000, Entry(_f.Pages[3], P)));
        RunRefused([0xA3, .. Address(0x3F000)], 0x3F000);
        RunRefused([0xA3, .. Address(0x40000000)], 0x40000000);
        _cpu->Cpl = 3;
        _cpu->RefreshMode();
        RunRefused([0xA3, .. Address(Slot)], Slot);
    }

    [Fact]
    public void AWriteAcrossTwoEntriesIsAllOrNone()
    {
        // movq-sized stores do not exist unaligned in integer code; a dword across the boundary of two entries does.
        _f.Memory.UpdateEntry(_f.L1, 300, 0x1122334455667788 & ~1ul, false, _f.Domain.Id);
        _cpu->Gpr[(int)Gpr.Eax] = 0xAABBCCDD;
        RunRefused([0xA3, .. Address(Slot + 6)], Slot + 6); // 0xAABB lands in entry 301: present, and refused
        Assert.Equal(0x1122334455667788ul, _f.Table(_f.L1)[300]);
        Assert.Equal(0ul, _f.Table(_f.L1)[301]);
        _cpu->Gpr[(int)Gpr.Eax] = 0xAABACCDD;
        Run([0xA3, .. Address(Slot + 6)], Slot + 6);
        Assert.Equal((0xCCDD334455667788ul, 0xAABAul), (_f.Table(_f.L1)[300], _f.Table(_f.L1)[301]));
    }

    private static byte[] Address(uint linear) => BitConverter.GetBytes(linear);

    private void Run(byte[] code, uint linear) => Assert.True(Emulate(code, linear));

    private void RunRefused(byte[] code, uint linear) => Assert.False(Emulate(code, linear));

    private bool Emulate(byte[] code, uint linear)
    {
        Assert.True(Dbt.Xen.Memory.GuestAccess.TryWrite(_f.Vcpu, Code, code));
        _cpu->Eip = Code;
        _cpu->Fault = new Fault { Vector = Vector.PageFault, ErrorCode = 3, Address = linear };
        return _f.Memory.TryEmulatePageTableWrite(_f.Vcpu, linear);
    }
}
