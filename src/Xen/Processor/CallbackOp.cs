using System.Runtime.InteropServices;
using Dbt.Xen.Abi;
using Dbt.Xen.Hypercalls;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Processor;

/// <summary>HYPERVISOR_callback_op (public/callback.h) and the older HYPERVISOR_set_callbacks.</summary>
internal static class CallbackOp
{
    private const uint Register = 0, Unregister = 1;
    private const ushort Event = 0, Failsafe = 1, NonMaskable = 4, SystemEnter = 5, SystemCall32 = 7;
    private const ushort MaskEvents = 1;

    /// <summary>struct callback_register of i386.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Registration
    {
        public ushort Type, Flags;
        public uint Selector, Address;
    }

    /// <summary>EBX command, ECX pointer to its structure.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        switch (arguments.A1)
        {
            case Register:
                return GuestAccess.TryRead(vcpu, arguments.A2, out Registration registration) ? Set(vcpu, registration) : -Errno.EFAULT;
            case Unregister:
                return GuestAccess.TryRead(vcpu, arguments.A2, out uint type) ? Clear(vcpu, (ushort)type) : -Errno.EFAULT;
            default:
                return -Errno.EINVAL;
        }
    }

    /// <summary>EBX, ECX selector and offset of the event callback; EDX, ESI those of the failsafe callback.</summary>
    public static int SetCallbacks(Vcpu vcpu, in HypercallArguments arguments)
    {
        Set(vcpu, new Registration { Type = Event, Selector = arguments.A1, Address = arguments.A2 });
        Set(vcpu, new Registration { Type = Failsafe, Selector = arguments.A3, Address = arguments.A4 });
        return 0;
    }

    private static int Set(Vcpu vcpu, in Registration registration)
    {
        (ushort, uint) entry = (Selectors.ForGuest(registration.Selector & 0xFFFF), registration.Address);
        switch (registration.Type)
        {
            case Event:
                vcpu.Callbacks.Event = entry;
                return 0;
            case Failsafe:
                vcpu.Callbacks.Failsafe = entry;
                vcpu.Callbacks.FailsafeMasksEvents = (registration.Flags & MaskEvents) != 0;
                return 0;
            case NonMaskable:
                NmiOp.SetHandler(vcpu, registration.Address);
                return 0;
            case SystemEnter:
                vcpu.Callbacks.SystemEnter = (entry.Item1, entry.Item2, (registration.Flags & MaskEvents) != 0);
                return 0;
            case SystemCall32:
                vcpu.Callbacks.SystemCall = (entry.Item1, entry.Item2, (registration.Flags & MaskEvents) != 0);
                return 0;
            default:
                return -Errno.ENOSYS;
        }
    }

    private static int Clear(Vcpu vcpu, ushort type)
    {
        switch (type)
        {
            case Event or Failsafe or SystemEnter or SystemCall32:
                return -Errno.EINVAL;
            case NonMaskable:
                NmiOp.SetHandler(vcpu, 0);
                return 0;
            default:
                return -Errno.ENOSYS;
        }
    }
}
