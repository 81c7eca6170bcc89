using Dbt.Translator.State;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Processor;

/// <summary>Entries to the guest's kernel, seen from guest code that really runs.</summary>
public sealed unsafe class BounceFrameTests
{
    /// <summary>Enters ring 3 at <see cref="PvGuest.User"/> by a native IRET.</summary>
    private static void ToUser(Assembler c, uint flags = 0x202)
    {
        LoadUserData(c);
        c.push((int)Layout.FlatRing3Ds);
        c.push((int)PvGuest.UserStackTop);
        c.push((int)flags);
        c.push((int)Layout.FlatRing3Cs);
        c.push((int)PvGuest.User);
        c.iretd();
    }

    /// <summary>Ring 1's data segments would be null in ring 3.</summary>
    private static void LoadUserData(Assembler c)
    {
        c.mov(eax, (int)Layout.FlatRing3Ds);
        c.mov(ds, eax);
        c.mov(es, eax);
    }

    /// <summary>Saves ESP and up to eight words of the frame to <see cref="PvGuest.Data"/>.</summary>
    private static void SaveFrame(Assembler c)
    {
        c.mov(__dword_ptr[PvGuest.Data], esp);
        for (int i = 0; i < 8; i++)
        {
            c.mov(eax, __dword_ptr[esp + (i * 4)]);
            c.mov(__dword_ptr[PvGuest.Data + 4 + (i * 4)], eax);
        }
    }

    private static uint Saved(PvGuest guest, int index) => guest.Word(PvGuest.Data + 4 + ((uint)index * 4));

    [Fact]
    public void A_fault_in_ring_1_stays_on_its_stack_and_tells_the_upcall_mask()
    {
        using var guest = new PvGuest();
        guest.Trap(14, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            SaveFrame(c);
            PvGuest.PowerOff(c);
        });
        guest.Run(c => c.mov(__dword_ptr[PvGuest.Unmapped + 8], eax));

        Assert.Equal(PvGuest.StackTop - 16, guest.Word(PvGuest.Data));
        Assert.Equal((uint)PageFaultCode.Write, Saved(guest, 0));
        Assert.Equal(PvGuest.Code, Saved(guest, 1));
        Assert.Equal(Layout.FlatRing1Cs | (1u << 16), Saved(guest, 2));
        Assert.Equal(0u, Saved(guest, 3) & (Flags.If | Flags.Iopl));
        Assert.Equal(PvGuest.Unmapped + 8, guest.Word(PvGuest.SharedInfo + SharedInfoLayout.Cr2));
    }

    [Fact]
    public void A_fault_in_ring_3_switches_to_the_kernel_stack()
    {
        using var guest = new PvGuest();
        guest.Trap(14, PvGuest.Handlers, mask: true);
        Assert.Equal(0, guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop));
        guest.Assemble(PvGuest.Handlers, c =>
        {
            SaveFrame(c);
            PvGuest.PowerOff(c);
        });
        guest.Assemble(PvGuest.User, c => c.mov(eax, __dword_ptr[PvGuest.Unmapped]));
        guest.Run(c =>
        {
            c.mov(__byte_ptr[PvGuest.SharedInfo + 1], 0);
            ToUser(c);
        });

        Assert.Equal(PvGuest.KernelStackTop - 24, guest.Word(PvGuest.Data));
        Assert.Equal((uint)PageFaultCode.User, Saved(guest, 0));
        Assert.Equal(PvGuest.User, Saved(guest, 1));
        Assert.Equal((uint)Layout.FlatRing3Cs, Saved(guest, 2));
        Assert.Equal(Flags.If, Saved(guest, 3) & Flags.If);
        Assert.Equal(PvGuest.UserStackTop, Saved(guest, 4));
        Assert.Equal((uint)Layout.FlatRing3Ds, Saved(guest, 5));
        Assert.Equal(1, *guest.At(PvGuest.SharedInfo + 1));
    }

    [Fact]
    public void XSA_202_flags_that_the_hypervisor_owns_stay_owned()
    {
        using var guest = new PvGuest();
        guest.Run(c =>
        {
            c.push(-1 & ~(int)Flags.Tf & ~(int)Flags.Ac);
            c.popfd();
            c.pushfd();
            c.pop(__dword_ptr[PvGuest.Data]);
            c.cld();
            PvGuest.PowerOff(c);
        });
        Assert.Equal(Flags.If, guest.Word(PvGuest.Data) & (Flags.If | Flags.Iopl | Flags.Vm));
    }

    [Theory]
    [InlineData(0x80, 3, true)]
    [InlineData(0x80, 1, false)]
    [InlineData(0x82, 3, true)]
    [InlineData(0x82, 1, false)]
    [InlineData(3, 0, true)]
    public void A_software_interrupt_from_ring_3_needs_the_trap_tables_leave(int vector, int level, bool allowed)
    {
        using var guest = new PvGuest();
        guest.Trap(vector, PvGuest.Handlers, level);
        guest.Trap(13, PvGuest.Handlers + 0x800);
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            SaveFrame(c);
            c.mov(__dword_ptr[PvGuest.Data + 0x100], 1);
            PvGuest.PowerOff(c);
        });
        guest.Assemble(PvGuest.Handlers + 0x800, c =>
        {
            SaveFrame(c);
            c.mov(__dword_ptr[PvGuest.Data + 0x100], 2);
            PvGuest.PowerOff(c);
        });
        guest.Assemble(PvGuest.User, c => c.@int((byte)vector));
        guest.Run(c => ToUser(c));

        Assert.Equal(allowed ? 1u : 2u, guest.Word(PvGuest.Data + 0x100));
        if (allowed)
        {
            Assert.Equal(PvGuest.User + 2, Saved(guest, 0));
        }
        else
        {
            Assert.Equal(((uint)vector << 3) | 2, Saved(guest, 0));
            Assert.Equal(PvGuest.User, Saved(guest, 1));
        }
    }

    [Fact]
    public void XSA_183_a_frame_that_cannot_be_written_ends_the_domain_alone()
    {
        using var hypervisor = new Hypervisor(64 << 20);
        using var other = new PvGuest(1, hypervisor);
        using var guest = new PvGuest(1, hypervisor);
        guest.Trap(6, PvGuest.Handlers);
        guest.Assemble(PvGuest.Code, c =>
        {
            c.mov(esp, (int)PvGuest.Unmapped);
            c.ud2();
        });
        Assert.Equal(ShutdownReason.Crash, guest.Run());
        Assert.Contains("double fault", guest.Domain.CrashReport!.Reason);
        Assert.Contains("ud2", guest.Domain.CrashReport.Text);
        Assert.False(other.Domain.IsStopped);
    }

    [Fact]
    public void XSA_183_the_kernel_stack_may_not_lie_in_the_hypervisor()
    {
        using var guest = new PvGuest();
        guest.Trap(6, PvGuest.Handlers);
        guest.Call(3, Layout.FlatRing1Ds, Layout.HypervisorStart + 0x2000);
        guest.Assemble(PvGuest.User, c => c.ud2());
        guest.Assemble(PvGuest.Code, c => ToUser(c));
        Assert.Equal(ShutdownReason.Crash, guest.Run());
    }

    [Fact]
    public void A_fault_without_a_handler_ends_the_domain_with_its_name()
    {
        using var guest = new PvGuest();
        guest.Assemble(PvGuest.Code, c => c.mov(eax, __dword_ptr[PvGuest.Unmapped]));
        Assert.Equal(ShutdownReason.Crash, guest.Run());
        Assert.Contains("page fault at 00100000", guest.Domain.CrashReport!.Reason);
    }

    [Fact]
    public void A_handler_in_ring_0_is_entered_in_ring_1()
    {
        using var guest = new PvGuest();
        guest.Trap(6, PvGuest.Handlers, selector: Layout.FlatRing1Cs & ~3u);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__dword_ptr[PvGuest.Data], cs);
            PvGuest.PowerOff(c);
        });
        guest.Run(c => c.ud2());
        Assert.Equal(Layout.FlatRing1Cs, (ushort)guest.Word(PvGuest.Data));
    }

    [Fact]
    public void The_iret_hypercall_goes_to_ring_3_and_unmasks()
    {
        using var guest = new PvGuest();
        guest.Trap(0x80, PvGuest.Handlers, 3);
        guest.Call(3, Layout.FlatRing1Ds, PvGuest.KernelStackTop);
        guest.Assemble(PvGuest.User, c =>
        {
            c.mov(__dword_ptr[PvGuest.Data], eax);
            c.@int(0x80);
        });
        guest.Assemble(PvGuest.Handlers, PvGuest.PowerOff);
        guest.Run(c =>
        {
            LoadUserData(c);
            c.push((int)Layout.FlatRing3Ds);
            c.push((int)PvGuest.UserStackTop);
            c.push((int)(Flags.If | Flags.Fixed));
            c.push((int)Layout.FlatRing3Cs);
            c.push((int)PvGuest.User);
            c.push(0x12345678);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        Assert.Equal(0x12345678u, guest.Word(PvGuest.Data));
        Assert.Equal(0, *guest.At(PvGuest.SharedInfo + 1));
    }

    [Fact]
    public void XSA_136_an_iret_hypercall_whose_frame_ends_in_nowhere_ends_the_domain()
    {
        using var guest = new PvGuest();
        guest.Assemble(PvGuest.Code, c =>
        {
            c.mov(esp, (int)PvGuest.SharedInfo + 0xFF8);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        Assert.Equal(ShutdownReason.Crash, guest.Run());
    }

    [Theory]
    [InlineData(0xE008u)]
    [InlineData(0xE018u)]
    [InlineData(0u)]
    public void An_iret_hypercall_to_ring_0_ends_the_domain(uint selector)
    {
        using var guest = new PvGuest();
        guest.Assemble(PvGuest.Code, c =>
        {
            c.push((int)(Flags.If | Flags.Fixed));
            c.push((int)selector);
            c.push((int)PvGuest.Handlers);
            c.push(0);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        Assert.Equal(ShutdownReason.Crash, guest.Run());
    }

    [Fact]
    public void An_iret_hypercall_to_a_bad_segment_is_a_fault_of_its_target()
    {
        using var guest = new PvGuest();
        guest.Trap(13, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            SaveFrame(c);
            PvGuest.PowerOff(c);
        });
        guest.Run(c =>
        {
            c.push((int)Flags.Fixed);
            c.push(0x1239);
            c.push(0x4444);
            c.push(0);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        Assert.Equal(0x1238u, Saved(guest, 0));
        Assert.Equal(0x4444u, Saved(guest, 1));
        Assert.Equal(0x1239u | (1u << 16), Saved(guest, 2));
    }

    [Fact]
    public void The_event_callback_is_entered_with_upcalls_masked()
    {
        using var guest = new PvGuest();
        guest.Call(4, Layout.FlatRing1Cs, PvGuest.Handlers, Layout.FlatRing1Cs, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            SaveFrame(c);
            PvGuest.PowerOff(c);
        });
        Assert.Equal(0, guest.Domain.Events.BindIpi(0, out uint port));
        guest.Put(port);
        guest.Run(c =>
        {
            c.mov(__byte_ptr[PvGuest.SharedInfo + 1], 0);
            PvGuest.Hypercall(c, 32, 4, PvGuest.Arguments);
            c.ud2();
        });
        Assert.Equal(1, *guest.At(PvGuest.SharedInfo + 1));
        Assert.Equal((uint)Layout.FlatRing1Cs, Saved(guest, 1));
        Assert.Equal(Flags.If, Saved(guest, 2) & Flags.If);
    }
}
