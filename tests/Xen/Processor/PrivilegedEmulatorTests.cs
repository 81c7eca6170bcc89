using Dbt.Translator.State;
using Dbt.Xen.Abi;
using Dbt.Xen.Processor;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Processor;

/// <summary>Privileged instructions in ring 1, carried out or refused as Xen does.</summary>
public sealed unsafe class PrivilegedEmulatorTests
{
    /// <summary>Runs code with a #GP handler that notes the error code at Data + 0x100 and ends; returns whether it was entered.</summary>
    private static bool Faults(PvGuest guest, Action<Assembler> code)
    {
        guest.Trap(13, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__dword_ptr[PvGuest.Data + 0x100], 1);
            PvGuest.PowerOff(c);
        });
        guest.Run(c =>
        {
            code(c);
            PvGuest.PowerOff(c);
        });
        return guest.Word(PvGuest.Data + 0x100) != 0;
    }

    [Fact]
    public void Ports_read_all_ones_with_an_iopl()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(33, 6, guest.Put(1)));
        bool faulted = Faults(guest, c =>
        {
            c.mov(eax, 0x12345678);
            c.@in(al, 0x61);
            c.mov(__dword_ptr[PvGuest.Data], eax);
            c.mov(edx, 0xCF8);
            c.@in(eax, dx);
            c.mov(__dword_ptr[PvGuest.Data + 4], eax);
            c.@out(dx, eax);
            c.mov(edi, (int)PvGuest.Data + 8);
            c.mov(ecx, 3);
            c.rep.insb();
            c.mov(__dword_ptr[PvGuest.Data + 16], ecx);
        });
        Assert.False(faulted);
        Assert.Equal(0x123456FFu, guest.Word(PvGuest.Data));
        Assert.Equal(uint.MaxValue, guest.Word(PvGuest.Data + 4));
        Assert.Equal(0x00FFFFFFu, guest.Word(PvGuest.Data + 8));
        Assert.Equal(0u, guest.Word(PvGuest.Data + 16));
    }

    [Fact]
    public void Ports_fault_without_an_iopl()
    {
        using var guest = new PvGuest();
        Assert.True(Faults(guest, c => c.@in(al, 0x61)));
    }

    [Theory]
    [InlineData(0x61u, false)]
    [InlineData(0x62u, true)]
    [InlineData(0x400u, true)]
    public void The_io_bitmap_opens_single_ports(uint port, bool faults)
    {
        using var guest = new PvGuest();
        new Span<byte>(guest.At(PvGuest.Data + 0x200), 0x100).Fill(0xFF);
        *guest.At(PvGuest.Data + 0x200 + (0x61 >> 3)) = unchecked((byte)~2);
        Assert.Equal(0, guest.Call(33, 7, guest.Put(PvGuest.Data + 0x200, 0x400)));
        Assert.Equal(faults, Faults(guest, c =>
        {
            c.mov(edx, (int)port);
            c.@in(al, dx);
        }));
    }

    [Fact]
    public void Control_and_debug_registers_can_be_read_and_their_own_bits_written()
    {
        using var guest = new PvGuest();
        bool faulted = Faults(guest, c =>
        {
            c.mov(eax, cr0);
            c.or(eax, 8);
            c.mov(cr0, eax);
            c.mov(__dword_ptr[PvGuest.Data], eax);
            c.clts();
            c.mov(eax, cr0);
            c.mov(__dword_ptr[PvGuest.Data + 4], eax);
            c.mov(eax, cr3);
            c.mov(__dword_ptr[PvGuest.Data + 8], eax);
            c.mov(cr3, eax);
            c.mov(eax, 0x1234);
            c.mov(dr1, eax);
            c.mov(ebx, dr1);
            c.mov(__dword_ptr[PvGuest.Data + 12], ebx);
            c.wbinvd();
            c.mov(eax, cr4);
            c.mov(__dword_ptr[PvGuest.Data + 16], eax);
        });
        Assert.False(faulted);
        Assert.Equal(ControlRegisters.Cr0AtStart | 8, guest.Word(PvGuest.Data));
        Assert.Equal(ControlRegisters.Cr0AtStart, guest.Word(PvGuest.Data + 4));
        Assert.Equal(guest.Root << 12, guest.Word(PvGuest.Data + 8));
        Assert.Equal(0x1234u, guest.Word(PvGuest.Data + 12));
        Assert.Equal(ControlRegisters.Cr4AtStart, guest.Word(PvGuest.Data + 16));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    public void A_bad_control_register_value_is_refused(int register)
    {
        using var guest = new PvGuest();
        Assert.True(Faults(guest, c =>
        {
            c.mov(eax, 0x00FFF000);
            c.mov(register == 0 ? cr0 : cr3, eax);
        }));
    }

    [Theory]
    [InlineData(0x10u, false)]
    [InlineData(0x1Bu, false)]
    [InlineData(0x277u, false)]
    [InlineData(0xC0000080u, false)]
    [InlineData(0xC0000082u, true)]
    [InlineData(0x40000000u, true)]
    [InlineData(0xDEADBEEFu, true)]
    public void Model_specific_registers_are_known_or_fault(uint register, bool faults)
    {
        using var guest = new PvGuest();
        Assert.Equal(faults, Faults(guest, c =>
        {
            c.mov(ecx, register);
            c.rdmsr();
        }));
    }

    [Fact]
    public void Without_a_handler_an_unknown_msr_reads_as_0()
    {
        using var guest = new PvGuest();
        guest.Run(c =>
        {
            c.mov(ecx, 0x150);
            c.mov(eax, -1);
            c.rdmsr();
            c.mov(__dword_ptr[PvGuest.Data], eax);
            PvGuest.PowerOff(c);
        });
        Assert.Equal(0u, guest.Word(PvGuest.Data));
    }

    [Fact]
    public void The_hypercall_page_can_be_written_by_msr()
    {
        using var guest = new PvGuest();
        bool faulted = Faults(guest, c =>
        {
            c.mov(ecx, 0x40000000);
            c.mov(eax, guest.MfnOf(PvGuest.User) << 12);
            c.xor(edx, edx);
            c.wrmsr();
            c.xor(ebx, ebx);
            c.xor(ecx, ecx);
            c.call(PvGuest.User + (17 * 32));
            c.mov(__dword_ptr[PvGuest.Data], eax);
        });
        Assert.False(faulted);
        Assert.Equal(0x40011u, guest.Word(PvGuest.Data));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_hypercall_page_must_be_a_plain_page_of_ones_own(bool foreign)
    {
        using var guest = new PvGuest();
        Assert.True(Faults(guest, c =>
        {
            c.mov(ecx, 0x40000000);
            c.mov(eax, (foreign ? 0 : guest.Root) << 12);
            c.xor(edx, edx);
            c.wrmsr();
        }));
    }

    [Fact]
    public void Cpuid_answers_natively_and_by_the_forced_emulation_prefix_alike()
    {
        using var guest = new PvGuest();
        bool faulted = Faults(guest, c =>
        {
            c.mov(eax, 1);
            c.xor(ecx, ecx);
            c.cpuid();
            c.mov(__dword_ptr[PvGuest.Data], edx);
            c.mov(eax, 1);
            c.xor(ecx, ecx);
            c.db(0x0F, 0x0B, 0x78, 0x65, 0x6E);
            c.cpuid();
            c.mov(__dword_ptr[PvGuest.Data + 4], edx);
            c.mov(eax, 0x40000000);
            c.db(0x0F, 0x0B, 0x78, 0x65, 0x6E);
            c.cpuid();
            c.mov(__dword_ptr[PvGuest.Data + 8], eax);
            c.mov(__dword_ptr[PvGuest.Data + 12], ebx);
        });
        Assert.False(faulted);
        Assert.Equal(guest.Word(PvGuest.Data), guest.Word(PvGuest.Data + 4));
        Assert.Equal(0x40000005u, guest.Word(PvGuest.Data + 8));
        Assert.Equal(0x566e6558u, guest.Word(PvGuest.Data + 12));
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1, false)]
    public void Cli_and_sti_go_by_the_virtual_iopl(uint iopl, bool faults)
    {
        using var guest = new PvGuest();
        guest.Call(33, 6, guest.Put(iopl));
        Assert.Equal(faults, Faults(guest, c =>
        {
            c.cli();
            c.sti();
        }));
        Assert.NotEqual(0u, guest.Cpu->Eflags & Flags.If);
    }

    [Fact]
    public void Architectural_iopl_makes_the_kernel_ring_0()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(21, 0, 4));
        Assert.False(Faults(guest, c => c.cli()));
    }

    [Fact]
    public void Hlt_and_lgdt_are_not_a_guests()
    {
        using var first = new PvGuest();
        Assert.True(Faults(first, c => c.hlt()));
        using var second = new PvGuest();
        Assert.True(Faults(second, c => c.lgdt(__[PvGuest.Data])));
    }

    [Fact]
    public void A_device_not_available_fault_clears_ts()
    {
        using var guest = new PvGuest();
        guest.Trap(7, PvGuest.Handlers);
        guest.Call(5, 1);
        Assert.NotEqual(0u, guest.Cpu->Cr0 & 8);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(eax, cr0);
            c.mov(__dword_ptr[PvGuest.Data], eax);
            PvGuest.PowerOff(c);
        });
        guest.Run(c => c.fninit());
        Assert.Equal(ControlRegisters.Cr0AtStart, guest.Word(PvGuest.Data));
    }

    [Fact]
    public void XSA_444_no_breakpoint_lies_in_the_hypervisor()
    {
        using var guest = new PvGuest();
        Assert.Equal(-Errno.EPERM, guest.Call(8, 0, Layout.HypervisorStart));
        Assert.Equal(0, guest.Call(8, 3, Layout.HypervisorStart - 1));
        Assert.Equal(unchecked((int)(Layout.HypervisorStart - 1)), guest.Call(9, 3));
        Assert.Equal(-Errno.EPERM, guest.Call(8, 7, 0x2000));
        Assert.Equal(-Errno.ENODEV, guest.Call(8, 8, 0));
        Assert.Equal(-Errno.ENODEV, guest.Call(9, uint.MaxValue));
    }

    [Fact]
    public void Emulation_in_ring_3_needs_more_than_being_privileged()
    {
        using var guest = new PvGuest();
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        guest.Assemble(PvGuest.User, c => c.mov(eax, cr0));
        Assert.True(Faults(guest, c =>
        {
            c.push((int)Layout.FlatRing3Ds);
            c.push((int)PvGuest.UserStackTop);
            c.push(0x202);
            c.push((int)Layout.FlatRing3Cs);
            c.push((int)PvGuest.User);
            c.mov(eax, (int)Layout.FlatRing3Ds);
            c.mov(ds, eax);
            c.iretd();
        }));
    }
}
