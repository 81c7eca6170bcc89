using Dbt.Tests.Xen.Processor;
using Dbt.Xen;
using Dbt.Xen.Abi;
using Dbt.Xen.Events;
using Dbt.Xen.Processor;
using Dbt.Xen.Time;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Xen.Events;

/// <summary>sched_op, timers, shared time and vcpu_op.</summary>
public sealed unsafe class SchedulerTests
{
    private const int SchedOp = 29, VcpuOp = 24, SetTimerOp = 15;

    /// <summary>A guest whose event callback counts to Data and returns.</summary>
    private static void CountUpcalls(PvGuest guest)
    {
        guest.Call(4, Layout.FlatRing1Cs, PvGuest.Handlers, Layout.FlatRing1Cs, PvGuest.Handlers);
        guest.Assemble(PvGuest.Handlers, c =>
        {
            c.mov(__byte_ptr[PvGuest.SharedInfo], 0);
            c.mov(__dword_ptr[PvGuest.SharedInfo + 4], 0);
            c.mov(__dword_ptr[PvGuest.SharedInfo + SharedInfoLayout.EventPending], 0);
            c.add(__dword_ptr[PvGuest.Data], 1);
            c.push(eax);
            c.mov(eax, 23);
            c.@int(0x82);
        });
    }

    private static uint BindTimer(PvGuest guest)
    {
        Assert.Equal(0, guest.Domain.Events.BindVirq(Virq.Timer, 0, out uint port));
        return port;
    }

    [Theory]
    [InlineData(0u, ShutdownReason.Poweroff)]
    [InlineData(1u, ShutdownReason.Reboot)]
    [InlineData(2u, ShutdownReason.Suspend)]
    [InlineData(3u, ShutdownReason.Crash)]
    public void A_shutdown_stops_the_domain_with_its_reason(uint reason, ShutdownReason expected)
    {
        using var guest = new PvGuest();
        guest.Put(reason);
        guest.Assemble(PvGuest.Code, c =>
        {
            PvGuest.Hypercall(c, SchedOp, 2, PvGuest.Arguments);
            c.ud2();
        });
        Assert.Equal(expected, guest.Run());
        Assert.Equal(expected == ShutdownReason.Crash, guest.Domain.CrashReport is not null);
    }

    [Fact]
    public void A_latched_code_is_what_a_later_shutdown_tells()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Call(SchedOp, 5, guest.Put(1)));
        Assert.Equal(0, guest.Call(SchedOp, 5, guest.Put(2)));
        Assert.Equal(0, guest.Call(SchedOp, 2, guest.Put(0)));
        Assert.Equal(ShutdownReason.Reboot, guest.WaitStopped());
    }

    [Fact]
    public void Bad_scheduler_arguments_are_refused()
    {
        using var guest = new PvGuest();
        foreach (uint command in new uint[] { 2, 3, 4, 5, 6 })
        {
            Assert.Equal(-Errno.EFAULT, guest.Call(SchedOp, command, PvGuest.Unmapped));
        }

        Assert.Equal(-Errno.ENOSYS, guest.Call(SchedOp, 99));
        Assert.Equal(-Errno.ENOSYS, guest.Call(6, 3));
        Assert.Equal(-Errno.EPERM, guest.Call(SchedOp, 7, PvGuest.Arguments));
        Assert.Equal(-Errno.ESRCH, guest.Call(SchedOp, 4, guest.Put(77, 0)));
        Assert.Equal(-Errno.EINVAL, guest.Call(SchedOp, 3, guest.Put(PvGuest.Data, 129, 0, 0)));
        Assert.Equal(-Errno.EFAULT, guest.Call(SchedOp, 3, guest.Put(PvGuest.Unmapped, 1, 0, 0)));
        Assert.Equal(-Errno.EFAULT, guest.Call(SchedOp, 3, guest.Put(0xFFFFFFF0, 128, 0, 0)));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(5u)]
    [InlineData(1024u)]
    [InlineData(0xFFFFFFFFu)]
    public void XSA_221_polling_a_port_that_is_not_there_is_refused(uint port)
    {
        using var guest = new PvGuest();
        guest.Word(PvGuest.Data) = port;
        Assert.Equal(-Errno.EINVAL, guest.Call(SchedOp, 3, guest.Put(PvGuest.Data, 1, 0, 0)));
    }

    [Fact]
    public void A_poll_ends_with_its_time_or_its_port()
    {
        using var guest = new PvGuest();
        Assert.True(guest.Domain.Events.TryAllocateForBackend(out uint port));
        guest.Word(PvGuest.Data + 0x10) = port;
        uint* poll = (uint*)guest.At(PvGuest.Arguments);
        (poll[0], poll[1], poll[2], poll[3]) = (PvGuest.Data + 0x10, 1, 1, 0);
        (poll[4], poll[5], poll[6], poll[7]) = (PvGuest.Data + 0x10, 1, 0, 0x80000000);
        (poll[8], poll[9], poll[10], poll[11]) = (PvGuest.Data + 0x10, 1, 0, 0);
        guest.Word(PvGuest.Data + 0x20) = port;
        BackendChannel? backend = null;
        int signals = 0;
        Assert.True(guest.Domain.Events.TryConnectBackend(
            port,
            () =>
            {
                if (signals++ > 0)
                {
                    BackendChannel channel = backend!;
                    ThreadPool.QueueUserWorkItem(_ => channel.Notify());
                }
            },
            out backend));
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, SchedOp, 3, PvGuest.Arguments);
            c.mov(__dword_ptr[PvGuest.Data], eax);
            PvGuest.Hypercall(c, SchedOp, 3, PvGuest.Arguments + 16);
            c.mov(__dword_ptr[PvGuest.Data + 4], eax);
            PvGuest.Hypercall(c, 32, 4, PvGuest.Data + 0x20);
            PvGuest.Hypercall(c, SchedOp, 3, PvGuest.Arguments + 32);
            c.mov(__dword_ptr[PvGuest.Data + 8], eax);
            PvGuest.PowerOff(c);
        });
        Assert.Equal([0u, 0u, 0u], [guest.Word(PvGuest.Data), guest.Word(PvGuest.Data + 4), guest.Word(PvGuest.Data + 8)]);
        Assert.NotEqual(0u, guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending) & (1u << (int)port));
    }

    [Fact]
    public void A_poll_lasts_as_long_as_it_is_to()
    {
        using var guest = new PvGuest();
        Assert.Equal(0, guest.Domain.Events.BindIpi(0, out uint port));
        guest.Word(PvGuest.Data) = port;
        guest.Put(PvGuest.Data, 1);
        guest.Run(c =>
        {
            c.rdtsc();
            c.add(eax, 3_000_000);
            c.adc(edx, 0);
            c.mov(__dword_ptr[PvGuest.Arguments + 8], eax);
            c.mov(__dword_ptr[PvGuest.Arguments + 12], edx);
            PvGuest.Hypercall(c, SchedOp, 3, PvGuest.Arguments);
            c.rdtsc();
            c.mov(__dword_ptr[PvGuest.Data + 8], eax);
            c.mov(__dword_ptr[PvGuest.Data + 12], edx);
            PvGuest.PowerOff(c);
        });
        Assert.True(*(ulong*)guest.At(PvGuest.Data + 8) >= *(ulong*)guest.At(PvGuest.Arguments + 8));
    }

    [Fact]
    public void A_single_shot_timer_wakes_a_blocked_guest()
    {
        using var guest = new PvGuest();
        BindTimer(guest);
        guest.Vcpu.Timers.SetPeriod(0);
        CountUpcalls(guest);
        guest.Run(c =>
        {
            // 2 ms from now, in the counter's own nanoseconds.
            c.rdtsc();
            c.add(eax, 2_000_000);
            c.adc(edx, 0);
            c.mov(ebx, eax);
            c.mov(ecx, edx);
            c.mov(eax, SetTimerOp);
            c.@int(0x82);
            PvGuest.Hypercall(c, SchedOp, 1);
            PvGuest.PowerOff(c);
        });
        Assert.Equal(1u, guest.Word(PvGuest.Data));
    }

    [Fact]
    public void A_timer_interrupts_a_guest_that_spins()
    {
        using var guest = new PvGuest();
        BindTimer(guest);
        CountUpcalls(guest);
        guest.Run(c =>
        {
            c.mov(__byte_ptr[PvGuest.SharedInfo + 1], 0);
            Label spin = c.CreateLabel();
            c.Label(ref spin);
            c.cmp(__dword_ptr[PvGuest.Data], 3);
            c.jb(spin);
            PvGuest.PowerOff(c);
        });
        Assert.True(guest.Word(PvGuest.Data) >= 3);
    }

    [Fact]
    public void An_event_that_came_while_masked_arrives_without_a_hypercall()
    {
        using var guest = new PvGuest();
        CountUpcalls(guest);
        Assert.Equal(0, guest.Domain.Events.BindIpi(0, out uint port));
        guest.Put(port);
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, 32, 4, PvGuest.Arguments);
            c.mov(__byte_ptr[PvGuest.SharedInfo + 1], 0);
            Label spin = c.CreateLabel();
            c.Label(ref spin);
            c.cmp(__dword_ptr[PvGuest.Data], 1);
            c.jb(spin);
            PvGuest.PowerOff(c);
        });
    }

    [Theory]
    [InlineData(0x7FFFFFFFFFFFFFFFL)]
    [InlineData(-1L)]
    [InlineData(long.MinValue)]
    [InlineData(1L << 62)]
    public void XSA_20_timeouts_that_overflow_come_soon_and_not_at_once(long timeout)
    {
        using var guest = new PvGuest();
        BindTimer(guest);
        long before = guest.Domain.Clock.Now;
        Assert.Equal(0, guest.Call(SetTimerOp, (uint)timeout, (uint)(timeout >> 32)));
        Assert.InRange(guest.Vcpu.Timers.Singleshot, before + 100_000_000, guest.Domain.Clock.Now + 100_000_000);
        Assert.Equal(0, guest.Call(SetTimerOp, 0, 0));
        Assert.Equal(0, guest.Vcpu.Timers.Singleshot);
    }

    [Fact]
    public void A_timer_in_the_past_fires_at_once()
    {
        using var guest = new PvGuest();
        uint port = BindTimer(guest);
        Assert.Equal(0, guest.Call(SetTimerOp, 1, 0));
        Assert.NotEqual(0u, guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending) & (1u << (int)port));
        guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending) = 0;
        Assert.Equal(-Errno.ETIME, guest.Call(VcpuOp, 8, 0, guest.Put(1, 0, 1)));
        Assert.Equal(0u, guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending));
        Assert.Equal(0, guest.Call(VcpuOp, 8, 0, guest.Put(1, 0, 0)));
        Assert.NotEqual(0u, guest.Word(PvGuest.SharedInfo + SharedInfoLayout.EventPending));
    }

    [Fact]
    public void The_time_record_and_the_counter_agree()
    {
        using var guest = new PvGuest();
        SharedTime.Update(guest.Vcpu);
        byte* time = guest.At(PvGuest.SharedInfo) + SharedInfoLayout.TimeInfo;
        Assert.Equal(0u, *(uint*)time & 1);
        ulong tsc = guest.Vcpu.ReadTsc(guest.Cpu);
        ulong delta = tsc - *(ulong*)(time + 8);
        ulong system = *(ulong*)(time + 16) + (ulong)(((UInt128)(delta << (sbyte)time[28]) * *(uint*)(time + 24)) >> 32);
        Assert.Equal(tsc, system);
        uint wallclock = guest.Word(PvGuest.SharedInfo + SharedInfoLayout.WallclockSeconds);
        Assert.InRange(wallclock, 1_700_000_000u, uint.MaxValue);
    }

    [Fact]
    public void Vcpu_operations_check_their_processor_and_arguments()
    {
        using var guest = new PvGuest(2);
        for (uint command = 0; command < 14; command++)
        {
            Assert.Equal(-Errno.ENOENT, guest.Call(VcpuOp, command, 2, PvGuest.Arguments));
            Assert.Equal(-Errno.ENOENT, guest.Call(VcpuOp, command, uint.MaxValue, PvGuest.Arguments));
        }

        Assert.Equal(-Errno.ENOSYS, guest.Call(VcpuOp, 99, 0));
        Assert.Equal(1, guest.Call(VcpuOp, 3, 0));
        Assert.Equal(0, guest.Call(VcpuOp, 3, 1));
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 1, 1));
        foreach (uint command in new uint[] { 0, 4, 5, 6, 8, 10, 13 })
        {
            Assert.Equal(-Errno.EFAULT, guest.Call(VcpuOp, command, 0, PvGuest.Unmapped));
            Assert.Equal(-Errno.EFAULT, guest.Call(VcpuOp, command, 0, 0xFFFFFFFC));
        }

        Assert.Equal(-Errno.EFAULT, guest.Call(VcpuOp, 5, 0, guest.Put(Layout.HypervisorStart - 4, 0)));
        Assert.Equal(-Errno.EFAULT, guest.Call(VcpuOp, 13, 0, guest.Put(0xFFFFFFF0, 0)));
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 6, 0, guest.Put(999_999, 0)));
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 6, 0, guest.Put(0, 0x80000000)));
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 8, 1, guest.Put(0, 0, 0)));
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 11, 0, 1));
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 12, 0, PvGuest.Arguments));
        Assert.Equal(0, guest.Call(VcpuOp, 4, 0, PvGuest.Data));
        Assert.Equal(0, guest.Call(VcpuOp, 5, 0, guest.Put(PvGuest.Data + 0x40, 0)));
    }

    [Fact]
    public void A_second_processor_is_initialised_once_and_runs()
    {
        using var guest = new PvGuest(2);
        Assert.Equal(2800, sizeof(VcpuGuestContext));
        VcpuGuestContext context = default;
        context.Registers.Eip = PvGuest.User;
        context.Registers.Cs = Layout.FlatRing1Cs;
        context.Registers.Esp = PvGuest.UserStackTop;
        context.Registers.Ss = context.Registers.Ds = context.Registers.Es = Layout.FlatRing1Ds;
        context.Registers.Eax = 0x4711;
        context.ControlRegisters[3] = guest.Root << 12;
        *(VcpuGuestContext*)guest.At(PvGuest.Data) = context;
        guest.Assemble(PvGuest.User, c =>
        {
            c.mov(__dword_ptr[PvGuest.Table - 0x1000], eax);
            PvGuest.PowerOff(c);
        });
        Assert.Equal(0, guest.Call(VcpuOp, 0, 1, PvGuest.Data));
        Assert.Equal(-Errno.EEXIST, guest.Call(VcpuOp, 0, 1, PvGuest.Data));
        Assert.Equal(0, guest.Call(VcpuOp, 3, 1));
        guest.Run(c =>
        {
            PvGuest.Hypercall(c, VcpuOp, 1, 1);
            Label wait = c.CreateLabel();
            c.Label(ref wait);
            PvGuest.Hypercall(c, SchedOp, 0);
            c.jmp(wait);
        });
        Assert.Equal(0x4711u, guest.Word(PvGuest.Table - 0x1000));
    }

    [Theory]
    [InlineData("cr3")]
    [InlineData("gdt")]
    [InlineData("ldt")]
    public void A_bad_context_is_refused_and_nothing_is_kept(string what)
    {
        using var guest = new PvGuest(2);
        VcpuGuestContext context = default;
        context.Registers.Cs = Layout.FlatRing1Cs;
        context.Registers.Ss = Layout.FlatRing1Ds;
        context.ControlRegisters[3] = (what == "cr3" ? guest.MfnOf(PvGuest.Data) : guest.Root) << 12;
        context.GdtFrames[0] = guest.MfnOf(what == "gdt" ? PvGuest.Data : PvGuest.Table);
        context.GdtEntries = 8;
        context.LdtBase = what == "ldt" ? 0xFFFFF000 : 0;
        *(VcpuGuestContext*)guest.At(PvGuest.Data) = context;
        Assert.Equal(-Errno.EINVAL, guest.Call(VcpuOp, 0, 1, PvGuest.Data));
        Assert.False(guest.Domain.Vcpus[1].IsInitialised);
        Assert.Equal(0u, guest.Domain.Vcpus[1].Descriptors.GdtEntries);
        Assert.NotEqual(0, guest.Call(VcpuOp, 1, 1));
    }

    [Fact]
    public void The_last_processor_that_goes_down_powers_off()
    {
        using var guest = new PvGuest(2);
        Assert.Equal(0, guest.Call(VcpuOp, 2, 0));
        Assert.Equal(ShutdownReason.Poweroff, guest.WaitStopped());
    }

    [Fact]
    public void Watchdogs_are_two()
    {
        using var guest = new PvGuest();
        int Set(uint id, uint seconds) => guest.Call(SchedOp, 6, guest.Put(id, seconds));
        Assert.Equal(1, Set(0, 1000));
        Assert.Equal(2, Set(0, 1000));
        Assert.Equal(-Errno.ENOSPC, Set(0, 1000));
        Assert.Equal(0, Set(2, 0));
        Assert.Equal(-Errno.EINVAL, Set(2, 5));
        Assert.Equal(-Errno.EINVAL, Set(3, 5));
        Assert.Equal(2, Set(0, 0));
        Assert.Equal(ShutdownReason.Watchdog, guest.WaitStopped());
    }

    [Fact]
    public void A_paused_processor_stands_still_and_goes_on()
    {
        using var guest = new PvGuest();
        guest.Assemble(PvGuest.Code, c =>
        {
            Label spin = c.CreateLabel();
            c.Label(ref spin);
            c.inc(__dword_ptr[PvGuest.Data]);
            c.cmp(__dword_ptr[PvGuest.Data + 4], 1);
            c.jne(spin);
            PvGuest.PowerOff(c);
        });
        guest.Vcpu.Start();
        guest.Vcpu.Pause();
        uint one = guest.Word(PvGuest.Data), eip = guest.Cpu->Eip;
        Thread.Sleep(5);
        Assert.Equal(one, guest.Word(PvGuest.Data));
        Assert.Equal(eip, guest.Cpu->Eip);
        guest.Word(PvGuest.Data + 4) = 1;
        guest.Vcpu.Resume();
        Assert.Equal(ShutdownReason.Poweroff, guest.WaitStopped());
    }

    [Fact]
    public void A_paused_domains_clock_stands_still_and_its_timer_waits()
    {
        using var guest = new PvGuest();
        BindTimer(guest);
        guest.Vcpu.Timers.SetPeriod(0);
        CountUpcalls(guest);
        guest.Assemble(PvGuest.Code, c =>
        {
            c.rdtsc();
            c.add(eax, 20_000_000);
            c.adc(edx, 0);
            c.mov(ebx, eax);
            c.mov(ecx, edx);
            c.mov(eax, SetTimerOp);
            c.@int(0x82);
            c.mov(__dword_ptr[PvGuest.Data + 4], 1);
            PvGuest.Hypercall(c, SchedOp, 1);
            PvGuest.PowerOff(c);
        });
        guest.Vcpu.Start();
        while (Volatile.Read(ref guest.Word(PvGuest.Data + 4)) == 0)
        {
            Thread.Yield();
        }

        guest.Domain.Pause();
        long paused = guest.Domain.Clock.Now;
        Thread.Sleep(30);
        Assert.Equal(paused, guest.Domain.Clock.Now);
        guest.Domain.Resume();
        Assert.Equal(ShutdownReason.Poweroff, guest.WaitStopped());
        Assert.Equal(1u, guest.Word(PvGuest.Data));
    }
}
