using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Events;

/// <summary>HYPERVISOR_event_channel_op (public/event_channel.h).</summary>
internal static class EventChannelOp
{
    private const uint BindInterdomain = 0, BindVirq = 1, BindPirq = 2, Close = 3, Send = 4, Status = 5, AllocateUnbound = 6, BindIpi = 7,
        BindVcpu = 8, Unmask = 9, Reset = 10, InitControl = 11, ExpandArray = 12, SetPriority = 13;

    /// <summary>struct evtchn_init_control; the last byte but seven is what we answer.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct ControlRequest
    {
        public ulong Frame;
        public uint Offset, Vcpu;
        public ulong LinkBits;
    }

    /// <summary>struct evtchn_status; the last two words are its union.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct StatusBlock
    {
        public uint Domain, Port, State, Vcpu, Detail, DetailPort;
    }

    /// <summary>EBX command, ECX pointer to its structure.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        EventChannels events = vcpu.Domain.Events;
        uint at = arguments.A2;
        return arguments.A1 switch
        {
            AllocateUnbound => Allocate(vcpu, at),
            BindInterdomain => Interdomain(vcpu, at),
            BindVirq => VirtualIrq(vcpu, at),
            BindIpi => Ipi(vcpu, at),
            BindPirq => GuestAccess.TryRead(vcpu, at, out uint _) ? -Errno.EPERM : -Errno.EFAULT,
            Close => GuestAccess.TryRead(vcpu, at, out uint port) ? events.Close(port) : -Errno.EFAULT,
            Send => GuestAccess.TryRead(vcpu, at, out uint port) ? events.Send(port) : -Errno.EFAULT,
            Unmask => GuestAccess.TryRead(vcpu, at, out uint port) ? events.Unmask(port) : -Errno.EFAULT,
            BindVcpu => GuestAccess.TryRead(vcpu, at, out (uint Port, uint Vcpu) bind) ? events.BindVcpu(bind.Port, bind.Vcpu) : -Errno.EFAULT,
            Status => ReadStatus(vcpu, at),
            Reset => ResetAll(vcpu, arguments),
            InitControl => AddControlBlock(vcpu, at),
            ExpandArray => GuestAccess.TryRead(vcpu, at, out ulong frame) ? events.ExpandArray(frame) : -Errno.EFAULT,
            SetPriority => GuestAccess.TryRead(vcpu, at, out (uint Port, uint Priority) set) ? events.SetPriority(set.Port, set.Priority) : -Errno.EFAULT,
            _ => -Errno.ENOSYS,
        };
    }

    /// <summary>EBX pointer to struct evtchn_op: the command, then its structure.</summary>
    public static int CallCompat(Vcpu vcpu, in HypercallArguments arguments)
    {
        if (!GuestAccess.TryRead(vcpu, arguments.A1, out uint command))
        {
            return -Errno.EFAULT;
        }

        int result = Call(vcpu, arguments with { A1 = command, A2 = arguments.A1 + 4 });
        if (vcpu.Continuation is not null)
        {
            vcpu.Continuation = arguments;
        }

        return result;
    }

    private static int AddControlBlock(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out ControlRequest request))
        {
            return -Errno.EFAULT;
        }

        int error = vcpu.Domain.Events.InitControl(request.Frame, request.Offset, request.Vcpu);
        request.LinkBits = (request.LinkBits & ~0xFFUL) | FifoEvents.LinkBits;
        return error != 0 ? error : GuestAccess.TryWrite(vcpu, at, request) ? 0 : -Errno.EFAULT;
    }

    /// <summary>0 where a domain id names the caller; a guest may work on no other.</summary>
    private static int CheckSelf(Vcpu vcpu, ushort id) =>
        vcpu.Domain.IsSelf(id) ? 0 : id == 0 || vcpu.Domain.Hypervisor.Find(id) is not null ? -Errno.EPERM : -Errno.ESRCH;

    private static int Reply(Vcpu vcpu, uint at, int error, uint port) =>
        error != 0 ? error : GuestAccess.TryWrite(vcpu, at, port) ? 0 : -Errno.EFAULT;

    private static int Allocate(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out (ushort Domain, ushort Remote) request))
        {
            return -Errno.EFAULT;
        }

        int error = CheckSelf(vcpu, request.Domain);
        if (error != 0)
        {
            return error;
        }

        error = vcpu.Domain.Events.AllocateUnbound(request.Remote, out uint port);
        return Reply(vcpu, at + 4, error, port);
    }

    private static int Interdomain(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out (uint Domain, uint Port) request))
        {
            return -Errno.EFAULT;
        }

        int error = vcpu.Domain.Events.BindInterdomain((ushort)request.Domain, request.Port, out uint port);
        return Reply(vcpu, at + 8, error, port);
    }

    private static int VirtualIrq(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out (uint Virq, uint Vcpu) request))
        {
            return -Errno.EFAULT;
        }

        int error = vcpu.Domain.Events.BindVirq(request.Virq, request.Vcpu, out uint port);
        return Reply(vcpu, at + 8, error, port);
    }

    private static int Ipi(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out uint target))
        {
            return -Errno.EFAULT;
        }

        int error = vcpu.Domain.Events.BindIpi(target, out uint port);
        return Reply(vcpu, at + 4, error, port);
    }

    private static int ReadStatus(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out StatusBlock block))
        {
            return -Errno.EFAULT;
        }

        int error = CheckSelf(vcpu, (ushort)block.Domain);
        if (error != 0)
        {
            return error;
        }

        error = vcpu.Domain.Events.Status(block.Port, out ChannelState state, out int target, out block.Detail, out block.DetailPort);
        (block.State, block.Vcpu) = ((uint)state, (uint)target);
        return error != 0 ? error : GuestAccess.TryWrite(vcpu, at, block) ? 0 : -Errno.EFAULT;
    }

    private static int ResetAll(Vcpu vcpu, in HypercallArguments arguments)
    {
        if (!GuestAccess.TryRead(vcpu, arguments.A2, out ushort id))
        {
            return -Errno.EFAULT;
        }

        int error = CheckSelf(vcpu, id);
        if (error != 0)
        {
            return error;
        }

        error = vcpu.Domain.Events.Reset(() => MemoryHypercall.ShouldStop(vcpu));
        if (error == -Errno.ERESTART)
        {
            vcpu.Continuation = arguments;
            return 0;
        }

        return error;
    }
}
