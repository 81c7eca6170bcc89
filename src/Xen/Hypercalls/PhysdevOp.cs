using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Hypercalls;

/// <summary>
/// HYPERVISOR_physdev_op (public/physdev.h). A domain here has no physical devices: what is left are the virtual IOPL, the I/O bitmap,
/// and answers that let a kernel's set-up code go on.
/// </summary>
internal static class PhysdevOp
{
    private const uint UnmaskNotify = 4, StatusQuery = 5, SetIopl = 6, SetIoBitmap = 7, ApicRead = 8, ApicWrite = 9, AllocateVector = 10,
        FreeVector = 11, EndOfInterrupt = 12, MapPirq = 13, UnmapPirq = 14, ManagePciAdd = 15, ManagePciRemove = 16, EoiPageV1 = 17,
        RestoreMsi = 19, ManagePciAddExt = 20, SetupGsi = 21, GetFreePirq = 23, MmconfigReserved = 24, PciDeviceAdd = 25,
        PciDeviceRemove = 26, RestoreMsiExt = 27, EoiPageV2 = 28, DebugPort = 29, PrepareMsix = 30, ReleaseMsix = 31;

    // Interrupt lines that a domain could name (nr_pirqs of a small machine), and bytes of an I/O bitmap.
    private const uint Pirqs = 256, IoBitmapBytes = 8192, MaxPorts = 65536;
    private const uint NeedsEoi = 1;

    /// <summary>EBX command, ECX pointer to its structure.</summary>
    public static int Call(Vcpu vcpu, in HypercallArguments arguments)
    {
        uint at = arguments.A2;
        switch (arguments.A1)
        {
            case UnmaskNotify:
                return 0;
            case StatusQuery:
                return Status(vcpu, at);
            case SetIopl:
                return Iopl(vcpu, at);
            case SetIoBitmap:
                return IoBitmap(vcpu, at);
            case EndOfInterrupt:
                return GuestAccess.TryRead(vcpu, at, out uint _) ? -Errno.EINVAL : -Errno.EFAULT;
            case EoiPageV1 or EoiPageV2:
                return EoiPage(vcpu, at);
            case GetFreePirq:
                return GuestAccess.TryRead(vcpu, at, out ulong _) ? -Errno.ENOSPC : -Errno.EFAULT;
            case UnmapPirq:
                return GuestAccess.TryRead(vcpu, at, out ulong _) ? -Errno.EINVAL : -Errno.EFAULT;
            case ApicRead or ApicWrite or AllocateVector or MapPirq or ManagePciAdd or ManagePciRemove or RestoreMsi or ManagePciAddExt
                or SetupGsi or MmconfigReserved or PciDeviceAdd or PciDeviceRemove or RestoreMsiExt or DebugPort or PrepareMsix or ReleaseMsix:
                return -Errno.EPERM;
            default:
                return -Errno.ENOSYS;
        }
    }

    /// <summary>EBX pointer to struct physdev_op: a command, and the structure of those that are as old.</summary>
    public static int CallCompat(Vcpu vcpu, in HypercallArguments arguments)
    {
        if (!GuestAccess.TryRead(vcpu, arguments.A1, out uint command))
        {
            return -Errno.EFAULT;
        }

        return command is >= UnmaskNotify and <= FreeVector ? Call(vcpu, arguments with { A1 = command, A2 = arguments.A1 + 4 }) : -Errno.ENOSYS;
    }

    private static int Status(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out uint line))
        {
            return -Errno.EFAULT;
        }

        return line >= Pirqs ? -Errno.EINVAL : GuestAccess.TryWrite(vcpu, at + 4, NeedsEoi) ? 0 : -Errno.EFAULT;
    }

    private static int Iopl(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out uint level))
        {
            return -Errno.EFAULT;
        }

        if (level > 3)
        {
            return -Errno.EINVAL;
        }

        vcpu.Iopl = level << 12;
        return 0;
    }

    private static int IoBitmap(Vcpu vcpu, uint at)
    {
        if (!GuestAccess.TryRead(vcpu, at, out (uint Bitmap, uint Ports) request))
        {
            return -Errno.EFAULT;
        }

        if (request.Ports > MaxPorts || request.Bitmap > Layout.HypervisorStart - IoBitmapBytes)
        {
            return -Errno.EINVAL;
        }

        (vcpu.IoBitmap, vcpu.IoBitmapPorts) = (request.Bitmap, request.Ports);
        return 0;
    }

    /// <summary>A page of "this line needs an end-of-interrupt" bits: there are no lines, so it stays as the guest cleared it.</summary>
    private static int EoiPage(Vcpu vcpu, uint at)
    {
        Domain domain = vcpu.Domain;
        if (!GuestAccess.TryRead(vcpu, at, out uint mfn))
        {
            return -Errno.EFAULT;
        }

        if (!domain.Memory.TryGetPageAndType(mfn, PageType.Writable))
        {
            return -Errno.EINVAL;
        }

        if (!domain.TrySetEoiPage(mfn))
        {
            domain.Memory.PutPageAndType(mfn);
            return -Errno.EBUSY;
        }

        return 0;
    }
}
