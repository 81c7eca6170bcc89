using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;
using Dbt.Xen.Time;

namespace Dbt.Xen.Events;

/// <summary>HYPERVISOR_sched_op (public/sched.h).</summary>
internal static unsafe class SchedOp
{
    private const uint Yield = 0, Block = 1, Shutdown = 2, Poll = 3, RemoteShutdown = 4, ShutdownCode = 5, Watchdog = 6, PinOverride = 7;
    private const uint MaxPollPorts = 128;

    // A guest that does nothing but yield waits for somebody else; after so many yields in a row it rests for a moment.
    private const int YieldsBeforeRest = 32;
    private const long RestNanoseconds = 50_000, YieldWindow = 100_000;

    /// <summary>struct sched_poll of i386.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct PollBlock
    {
        public uint Ports, Count;
        public long Timeout;
    }

    /// <summary>EBX command, ECX pointer to its structure.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint at = arguments.A2, reason;
        switch (arguments.A1)
        {
            case Yield:
                GiveWay(vcpu);
                return 0;
            case Block:
                vcpu.RequestBlock();
                return 0;
            case Shutdown:
                return GuestAccess.TryRead(vcpu, at, out reason) ? Stop(vcpu, reason) : -Errno.EFAULT;
            case ShutdownCode:
                if (!GuestAccess.TryRead(vcpu, at, out reason))
                {
                    return -Errno.EFAULT;
                }

                vcpu.Domain.LatchedReason ??= (ShutdownReason)(byte)reason;
                return 0;
            case Poll:
                return GuestAccess.TryRead(vcpu, at, out PollBlock poll) ? WaitForPorts(vcpu, poll) : -Errno.EFAULT;
            case RemoteShutdown:
                return Remote(vcpu, at);
            case Watchdog:
                return GuestAccess.TryRead(vcpu, at, out (uint Id, uint Seconds) timer)
                    ? vcpu.Domain.Watchdogs.Set(timer.Id, timer.Seconds)
                    : -Errno.EFAULT;
            case PinOverride:
                return -Errno.EPERM;
            default:
                return -Errno.ENOSYS;
        }
    }

    /// <summary>EBX command, ECX the reason of a shutdown: the form before 3.0.2.</summary>
    public static int CallCompat(Vcpu vcpu, in HypercallArguments arguments) => arguments.A1 switch
    {
        Yield or Block => Call(vcpu, arguments),
        Shutdown => Stop(vcpu, arguments.A2),
        _ => -Errno.ENOSYS,
    };

    private static int Stop(Vcpu vcpu, uint reason)
    {
        var why = (ShutdownReason)(byte)reason;
        switch (why)
        {
            case ShutdownReason.Crash:
                vcpu.Domain.Crash(vcpu, "the guest says that it crashed (SHUTDOWN_crash)");
                return 0;
            case > ShutdownReason.SoftReset:
                // Kernels that mix the two forms of the call up pass a pointer here, and mean a crash.
                vcpu.Domain.Crash(vcpu, $"the guest shut down for a reason that does not exist ({(byte)reason})");
                return 0;
            case ShutdownReason.Suspend when vcpu.Domain.TrySuspend(vcpu):
                return 0;
            case ShutdownReason.Suspend when vcpu.Domain.CancelsSuspend:
                return GoOn(vcpu);
            default:
                vcpu.Domain.Shutdown(why);
                return 0;
        }
    }

    /// <summary>
    /// A suspend ends as Xen's fast resume does: the domain goes on where it is with everything that it had, and the call says that by 1.
    /// </summary>
    private static int GoOn(Vcpu vcpu)
    {
        vcpu.Domain.Log.AddOnce("suspended, and resumed in place");
        SharedTime.UpdateWallclock(vcpu.Domain);
        SharedTime.Update(vcpu);
        return 1;
    }

    private static int Remote(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out ulong request))
        {
            return -Errno.EFAULT;
        }

        var id = (ushort)request;
        return id == 0 || vcpu.Domain.Hypervisor.Find(id) is not null ? -Errno.EPERM : -Errno.ESRCH;
    }

    private static void GiveWay(Vcpu vcpu)
    {
        long now = vcpu.Domain.Clock.Now;
        vcpu.YieldsInARow = now - vcpu.LastYield < YieldWindow ? vcpu.YieldsInARow + 1 : 0;
        if (vcpu.YieldsInARow < YieldsBeforeRest)
        {
            Thread.Yield();
        }
        else if (vcpu.State->Attention == 0)
        {
            vcpu.Rest(RestNanoseconds);
        }

        vcpu.LastYield = vcpu.Domain.Clock.Now;
    }

    private static int WaitForPorts(Vcpu vcpu, in PollBlock poll)
    {
        if (poll.Count > MaxPollPorts)
        {
            return -Errno.EINVAL;
        }

        var ports = new uint[poll.Count];
        if (!GuestAccess.TryRead(vcpu, poll.Ports, MemoryMarshal.AsBytes(ports.AsSpan())))
        {
            return -Errno.EFAULT;
        }

        foreach (uint port in ports)
        {
            int state = vcpu.Domain.Events.Poll(port);
            if (state != 0)
            {
                return Math.Min(state, 0);
            }
        }

        // A time before the domain's own start has passed as much as any other.
        vcpu.RequestPoll(new PollRequest(ports, poll.Timeout < 0 ? 1 : poll.Timeout));
        return 0;
    }
}
