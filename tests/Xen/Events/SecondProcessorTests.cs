using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Processor;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Events;

/// <summary>How a processor that VCPUOP_initialise gave a state comes to its first instruction, and NMIs.</summary>
public sealed unsafe class SecondProcessorTests
{
    private const int SchedOp = 29, VcpuOp = 24, CallbackOp = 30;
    private const uint Initialise = 0, Up = 1, SendNmi = 11;
    private const uint Result = PvGuest.Data + 0xC00;

    private static VcpuGuestContext Context(PvGuest guest)
    {
        VcpuGuestContext context = default;
        context.Registers.Eip = PvGuest.User;
        context.Registers.Cs = Layout.FlatRing1Cs;
        context.Registers.Esp = PvGuest.UserStackTop;
        context.Registers.Ss = context.Registers.Ds = context.Registers.Es = Layout.FlatRing1Ds;
        context.ControlRegisters[3] = guest.Root << 12;
        context.FailsafeCallbackEip = PvGuest.Handlers;
        context.KernelSs = Layout.FlatRing1Ds;
        context.KernelSp = PvGuest.KernelStackTop;
        return context;
    }

    /// <summary>Initialises the second processor, brings it up from the first, and waits for the domain's end.</summary>
    private static ShutdownReason Start(PvGuest guest, in VcpuGuestContext context)
    {
        *(VcpuGuestContext*)guest.At(PvGuest.Data) = context;
        Assert.Equal(0, guest.Call(VcpuOp, Initialise, 1, PvGuest.Data));
        guest.Assemble(PvGuest.Code, c =>
        {
            PvGuest.Hypercall(c, VcpuOp, Up, 1);
            Label wait = c.CreateLabel();
            c.Label(ref wait);
            PvGuest.Hypercall(c, SchedOp, 0);
            c.jmp(wait);
        });
        return guest.Run();
    }

    [Theory]
    [InlineData((ushort)0, (ushort)Layout.FlatRing1Ds)]
    [InlineData((ushort)0x1239, (ushort)Layout.FlatRing1Ds)]
    [InlineData((ushort)Layout.FlatRing1Cs, (ushort)0)]
    [InlineData((ushort)Layout.FlatRing1Cs, (ushort)Layout.FlatRing3Ds)]
    public void XSA_296_segments_that_cant_be_loaded_are_taken_and_end_the_domain_when_it_starts(ushort cs, ushort ss)
    {
        using var guest = new PvGuest(2);
        VcpuGuestContext context = Context(guest);
        (context.Registers.Cs, context.Registers.Ss) = (cs, ss);
        Assert.Equal(ShutdownReason.Crash, Start(guest, context));
        Assert.Contains("start of a processor", guest.Domain.CrashReport!.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_code_segment_that_cant_be_loaded_is_told_to_the_handler()
    {
        using var guest = new PvGuest(2);
        VcpuGuestContext context = Context(guest);
        context.Registers.Cs = 0x1233;
        context.Traps[13 * 2] = 13 | ((uint)Layout.FlatRing1Cs << 16);
        context.Traps[(13 * 2) + 1] = PvGuest.Handlers;
        guest.Assemble(PvGuest.Handlers, c =>
        {
            for (int i = 0; i < 4; i++)
            {
                c.pop(eax);
                c.mov(__dword_ptr[Result + ((uint)i * 4)], eax);
            }

            PvGuest.PowerOff(c);
        });
        Assert.Equal(ShutdownReason.Poweroff, Start(guest, context));
        Assert.Equal(0x1230u, guest.Word(Result));
        Assert.Equal(PvGuest.User, guest.Word(Result + 4));
        Assert.Equal(0x1233u, guest.Word(Result + 8) & 0xFFFF);
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    public void Data_segments_that_cant_be_loaded_lead_to_the_failsafe_callback(bool fromRing3, bool masks)
    {
        using var guest = new PvGuest(2);
        VcpuGuestContext context = Context(guest);
        context.Flags = masks ? VcpuGuestContext.FailsafeMasksEvents : 0;
        context.Registers.Gs = 0x1238;
        context.Registers.Fs = Layout.FlatRing3Ds;
        if (fromRing3)
        {
            (context.Registers.Cs, context.Registers.Ss) = (Layout.FlatRing3Cs, Layout.FlatRing3Ds);
        }

        guest.Domain.SharedInfo[SharedInfoLayout.VcpuInfoSize + SharedInfoLayout.UpcallMask] = 0;
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__dword_ptr[Result + 0x40], esp);
            c.mov(__word_ptr[Result + 0x44], gs);
            c.mov(__word_ptr[Result + 0x48], fs);
            c.mov(al, __byte_ptr[PvGuest.SharedInfo + SharedInfoLayout.VcpuInfoSize + SharedInfoLayout.UpcallMask]);
            c.mov(__byte_ptr[Result + 0x4C], al);
            for (int i = 0; i < 9; i++)
            {
                c.mov(eax, __dword_ptr[esp + (i * 4)]);
                c.mov(__dword_ptr[Result + ((uint)i * 4)], eax);
            }

            PvGuest.PowerOff(c);
        });
        Assert.Equal(ShutdownReason.Poweroff, Start(guest, context));
        uint top = fromRing3 ? PvGuest.KernelStackTop - 36 : PvGuest.UserStackTop - 28;
        Assert.Equal(top, guest.Word(Result + 0x40));
        Assert.Equal([0u, Layout.FlatRing3Ds], [guest.Word(Result + 0x44) & 0xFFFF, guest.Word(Result + 0x48) & 0xFFFF]);
        Assert.Equal(masks ? 1u : 0u, guest.Word(Result + 0x4C) & 0xFF);
        uint[] frame = [.. Enumerable.Range(0, 9).Select(i => guest.Word(Result + ((uint)i * 4)))];
        Assert.Equal([Layout.FlatRing1Ds, Layout.FlatRing1Ds, Layout.FlatRing3Ds, 0x1238u, PvGuest.User, context.Registers.Cs], frame[..6]);
        Assert.Equal(0x202u, frame[6] & 0x202);
        if (fromRing3)
        {
            Assert.Equal([PvGuest.UserStackTop, Layout.FlatRing3Ds], frame[7..]);
        }
    }

    [Fact]
    public void An_NMI_without_a_handler_is_lost_and_doesnt_keep_a_processor_from_waiting()
    {
        using var guest = new PvGuest();
        (guest.Word(Result), guest.Word(Result + 4), guest.Word(Result + 8)) = (4, Layout.FlatRing1Cs, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.inc(__dword_ptr[PvGuest.Data]);
            c.push(eax);
            c.mov(eax, 23);
            c.@int(0x82);
        });
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, VcpuOp, SendNmi);
            PvGuest.Hypercall(c, CallbackOp, 0, Result);
            c.mov(eax, __dword_ptr[PvGuest.Data]);
            c.mov(__dword_ptr[PvGuest.Data + 4], eax);
            PvGuest.Hypercall(c, VcpuOp, SendNmi);
            PvGuest.PowerOff(c);
        });
        Assert.Equal([1u, 0u], [guest.Word(PvGuest.Data), guest.Word(PvGuest.Data + 4)]);
    }

    [Fact]
    public void A_suspend_ends_at_once_for_a_kernel_that_can_go_on()
    {
        using var guest = new PvGuest();
        guest.Domain.CancelsSuspend = true;
        guest.Put(2);
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, SchedOp, 2, PvGuest.Arguments);
            c.mov(__dword_ptr[PvGuest.Data], eax);
            PvGuest.PowerOff(c);
        });
        Assert.Equal(1u, guest.Word(PvGuest.Data));
    }

    [Fact]
    public void What_is_not_implemented_is_named_once()
    {
        using var guest = new PvGuest();
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(-Errno.ENOSYS, guest.Call(VcpuOp, 14, 0));
            Assert.Equal(-Errno.ENOSYS, guest.Call(SchedOp, 0x1000 + (uint)i));
            Assert.Equal(-Errno.ENOSYS, guest.Call(39));
        }

        string[] expected =
        [
            "hypercall vcpu_op: VCPUOP_register_runstate_phys_area is not implemented",
            "hypercall sched_op: a command above 63 is not implemented",
            "hypercall argo_op is not implemented",
        ];
        Assert.Equal(expected, guest.Domain.Log.Lines);
    }
}
