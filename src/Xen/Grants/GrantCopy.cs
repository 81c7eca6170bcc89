using System.Runtime.InteropServices;
using Dbt.Runtime.Memory;
using Dbt.Xen.Abi;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Grants;

/// <summary>GNTTABOP_copy: bytes from a page to a page, each the caller's own by frame number or anybody's by grant.</summary>
internal static unsafe class GrantCopy
{
    private const ushort SourceByReference = 1, DestinationByReference = 2;

    /// <summary>struct gnttab_copy_ptr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Place
    {
        public uint Page;
        public ushort Domain, Offset;
    }

    /// <summary>struct gnttab_copy, 24 bytes.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Request
    {
        public Place Source, Destination;
        public ushort Length, Flags;
        public GrantStatus Status;
        public ushort Padding;
    }

    public static GrantStatus Copy(Vcpu vcpu, in Request request)
    {
        // Nothing to copy touches nothing (XSA-448).
        if (request.Length == 0)
        {
            return GrantStatus.Okay;
        }

        if (request.Source.Offset + request.Length > Layout.PageSize || request.Destination.Offset + request.Length > Layout.PageSize)
        {
            return GrantStatus.BadCopyArgument;
        }

        GrantStatus status = Open(vcpu, request.Source, (request.Flags & SourceByReference) != 0, writable: false, out Held source);
        if (status != GrantStatus.Okay)
        {
            return status;
        }

        status = Open(vcpu, request.Destination, (request.Flags & DestinationByReference) != 0, writable: true, out Held destination);
        if (status == GrantStatus.Okay)
        {
            status = Move(vcpu.Domain.Hypervisor.Machine, source, destination, request);
            Close(vcpu, destination, writable: true);
        }

        Close(vcpu, source, writable: false);
        return status;
    }

    // A grant may be of a part of its page.
    private static GrantStatus Move(MachineMemory machine, in Held source, in Held destination, in Request request)
    {
        if (!source.Covers(request.Source.Offset, request.Length) || !destination.Covers(request.Destination.Offset, request.Length))
        {
            return GrantStatus.GeneralError;
        }

        byte* to = machine.Frame(destination.Mfn) + request.Destination.Offset;
        Buffer.MemoryCopy(machine.Frame(source.Mfn) + request.Source.Offset, to, request.Length, request.Length);
        machine.CodeMap.Written(to, request.Length);
        return GrantStatus.Okay;
    }

    private static GrantStatus Open(Vcpu vcpu, in Place place, bool byReference, bool writable, out Held held)
    {
        held = default;
        FrameTable frames = vcpu.Domain.Hypervisor.Frames;
        if (byReference)
        {
            Domain? owner = vcpu.Domain.IsSelf(place.Domain) ? vcpu.Domain : vcpu.Domain.Hypervisor.Find(place.Domain);
            if (owner is null)
            {
                return GrantStatus.BadDomain;
            }

            GrantStatus status = owner.Grants.AcquireForCopy(place.Page, vcpu.Domain.Id, writable, out HeldGrant granted);
            held = new Held(granted.Mfn, granted);
            return status;
        }

        if (place.Domain != Layout.DomidSelf)
        {
            return GrantStatus.PermissionDenied;
        }

        if (!vcpu.Domain.Memory.TryTranslate(place.Page, out uint mfn) || !frames.TryGet(mfn, vcpu.Domain.Id))
        {
            return GrantStatus.BadPage;
        }

        if (writable && !frames.TryGetWritable(mfn))
        {
            frames.Put(mfn);
            return GrantStatus.GeneralError;
        }

        held = new Held(mfn, null);
        return GrantStatus.Okay;
    }

    private static void Close(Vcpu vcpu, in Held held, bool writable)
    {
        if (held.Grant is { } grant)
        {
            grant.Release(writable);
            return;
        }

        FrameTable frames = vcpu.Domain.Hypervisor.Frames;
        if (writable)
        {
            frames.PutPlainType(held.Mfn);
        }

        frames.Put(held.Mfn);
    }

    /// <summary>A page in hand: the caller's own, or by a grant.</summary>
    private readonly record struct Held(uint Mfn, HeldGrant? Grant)
    {
        public bool Covers(int offset, int length) => Grant is not { } grant || grant.Covers(offset, length);
    }
}
