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
            MachineMemory machine = vcpu.Domain.Hypervisor.Machine;
            byte* to = machine.Frame(destination.Mfn) + request.Destination.Offset;
            Buffer.MemoryCopy(machine.Frame(source.Mfn) + request.Source.Offset, to, request.Length, request.Length);
            machine.CodeMap.Written(to, request.Length);
            Close(vcpu, destination, writable: true);
        }

        Close(vcpu, source, writable: false);
        return status;
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

            GrantStatus status = owner.Grants.Acquire(place.Page, vcpu.Domain.Id, writable, mapping: false, out uint granted);
            held = new Held(granted, owner.Grants, place.Page);
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

        held = new Held(mfn, null, 0);
        return GrantStatus.Okay;
    }

    private static void Close(Vcpu vcpu, in Held held, bool writable)
    {
        if (held.Table is { } table)
        {
            table.Release(held.Reference, writable);
            return;
        }

        FrameTable frames = vcpu.Domain.Hypervisor.Frames;
        if (writable)
        {
            frames.PutPlainType(held.Mfn);
        }

        frames.Put(held.Mfn);
    }

    private readonly record struct Held(uint Mfn, GrantTable? Table, uint Reference);
}
