using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;
using Dbt.Xen.Processor;
using Dbt.Xen.Time;

namespace Dbt.Xen.Events;

/// <summary>HYPERVISOR_vcpu_op (public/vcpu.h).</summary>
internal static unsafe class VcpuOp
{
    private const uint Initialise = 0, Up = 1, Down = 2, IsUp = 3, GetRunState = 4, RegisterRunState = 5, SetPeriodic = 6, StopPeriodic = 7,
        SetSingleshot = 8, StopSingleshot = 9, RegisterInfo = 10, SendNmi = 11, GetPhysicalId = 12, RegisterTime = 13;

    private const long ShortestPeriod = 1_000_000, LongestPeriod = long.MaxValue >> 2;
    private const uint MustBeFuture = 1;

    /// <summary>struct vcpu_register_vcpu_info.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct InfoPlace
    {
        public ulong Mfn;
        public uint Offset, Reserved;
    }

    /// <summary>struct vcpu_set_singleshot_timer of i386.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Singleshot
    {
        public ulong Deadline;
        public uint Flags;
    }

    /// <summary>EBX command, ECX processor, EDX pointer to the command's structure.</summary>
    public static int Call(Vcpu caller, in HypercallArguments arguments)
    {
        Domain domain = caller.Domain;
        if (arguments.A2 >= domain.Vcpus.Count)
        {
            return -Errno.ENOENT;
        }

        Vcpu vcpu = domain.Vcpus[(int)arguments.A2];
        uint at = arguments.A3;
        switch (arguments.A1)
        {
            case Initialise:
                return InitialiseFrom(caller, vcpu, at);
            case Up:
                return BringUp(vcpu);
            case Down:
                return BringDown(vcpu);
            case IsUp:
                return vcpu.IsUp ? 1 : 0;
            case GetRunState:
                return WriteRunState(caller, vcpu, at) ? 0 : -Errno.EFAULT;
            case RegisterRunState:
                return SetRunStateArea(caller, vcpu, at);
            case SetPeriodic:
                return SetPeriod(caller, vcpu, at);
            case StopPeriodic:
                vcpu.Timers.SetPeriod(0);
                return 0;
            case SetSingleshot:
                return vcpu == caller ? SetTimer(vcpu, at) : -Errno.EINVAL;
            case StopSingleshot:
                if (vcpu != caller)
                {
                    return -Errno.EINVAL;
                }

                vcpu.Timers.SetSingleshot(0);
                return 0;
            case RegisterInfo:
                return PlaceInfo(caller, vcpu, at);
            case SendNmi:
                if (at != 0)
                {
                    return -Errno.EINVAL;
                }

                vcpu.SendNmi();
                return 0;
            case GetPhysicalId:
                // For processors that are pinned to a host's; none is.
                return -Errno.EINVAL;
            case RegisterTime:
                return SetTimeArea(caller, vcpu, at);
            default:
                return -Errno.ENOSYS;
        }
    }

    private static int InitialiseFrom(Vcpu caller, Vcpu vcpu, uint at)
    {
        if (vcpu.Hvm is not null)
        {
            // An auto-translated domain's processors start by INIT and start-up IPI; the context's form for them isn't offered.
            return -Errno.EOPNOTSUPP;
        }

        if (vcpu.Info == vcpu.Domain.DummyVcpuInfo)
        {
            return -Errno.EINVAL;
        }

        if (!GuestAccess.TryRead(caller, at, out VcpuGuestContext context))
        {
            return -Errno.EFAULT;
        }

        lock (vcpu.Domain.VcpuLock)
        {
            if (vcpu.IsInitialised)
            {
                return -Errno.EEXIST;
            }

            int error = vcpu.LoadContext(context);
            if (error == 0 && (context.Flags & VcpuGuestContext.Online) != 0)
            {
                vcpu.Start();
            }

            return error;
        }
    }

    private static int BringUp(Vcpu vcpu)
    {
        lock (vcpu.Domain.VcpuLock)
        {
            if (!vcpu.IsInitialised)
            {
                return -Errno.EINVAL;
            }

            if (!vcpu.IsUp)
            {
                vcpu.Start();
            }

            return 0;
        }
    }

    /// <summary>Brings a processor down; the last one that is up ends the domain.</summary>
    internal static int BringDown(Vcpu vcpu)
    {
        lock (vcpu.Domain.VcpuLock)
        {
            if (vcpu.Domain.Vcpus.TrueForAll(other => other == vcpu || !other.IsUp))
            {
                vcpu.Domain.Shutdown(ShutdownReason.Poweroff);
            }
            else
            {
                vcpu.GoDown();
            }

            return 0;
        }
    }

    private static bool WriteRunState(Vcpu caller, Vcpu vcpu, uint at)
    {
        Span<byte> info = stackalloc byte[RunState.Size];
        vcpu.RunState.Read(info);
        return GuestAccess.TryWrite(caller, at, info);
    }

    private static int SetRunStateArea(Vcpu caller, Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(caller, at, out uint area) || !GuestAccess.IsInRange(caller, area, 1, RunState.Size))
        {
            return -Errno.EFAULT;
        }

        vcpu.RunState.GuestArea = area;

        // As in Xen the first copy is an attempt; the next is made when the processor goes on after a wait.
        _ = WriteRunState(caller, vcpu, area);
        return 0;
    }

    private static int SetPeriod(Vcpu caller, Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(caller, at, out ulong period))
        {
            return -Errno.EFAULT;
        }

        if (period is < ShortestPeriod or > LongestPeriod)
        {
            return -Errno.EINVAL;
        }

        vcpu.Timers.SetPeriod((long)period);
        return 0;
    }

    private static int SetTimer(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out Singleshot timer))
        {
            return -Errno.EFAULT;
        }

        var now = (ulong)vcpu.Domain.Clock.Now;
        if ((timer.Flags & MustBeFuture) != 0 && timer.Deadline < now)
        {
            return -Errno.ETIME;
        }

        // 0 is a time that has passed here, and far away is never; see XSA-20.
        vcpu.Timers.SetSingleshot((long)Math.Clamp(timer.Deadline, 1, long.MaxValue >> 1));
        return 0;
    }

    private static int PlaceInfo(Vcpu caller, Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(caller, at, out InfoPlace place))
        {
            return -Errno.EFAULT;
        }

        // XSA-327: aligned, and within the page.
        if (place.Offset > Layout.PageSize - SharedInfoLayout.VcpuInfoSize || (place.Offset & 3) != 0)
        {
            return -Errno.ENXIO;
        }

        Domain domain = vcpu.Domain;
        lock (domain.VcpuLock)
        {
            if (vcpu.HasRegisteredInfo || (vcpu != caller && vcpu.IsUp) || !domain.Memory.TryTranslate(place.Mfn, out uint mfn)
                || !domain.Memory.TryGetPageAndType(mfn, PageType.Writable))
            {
                return -Errno.EINVAL;
            }

            vcpu.RegisterInfo(domain.Hypervisor.Machine.Frame(mfn) + place.Offset);
        }

        SharedTime.Update(vcpu);
        return 0;
    }

    private static int SetTimeArea(Vcpu caller, Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(caller, at, out uint area) || !GuestAccess.IsInRange(caller, area, 1, SharedInfoLayout.TimeInfoSize))
        {
            return -Errno.EFAULT;
        }

        vcpu.SecondaryTimeArea = area;
        if (vcpu == caller)
        {
            SharedTime.Update(vcpu);
        }

        return 0;
    }
}
