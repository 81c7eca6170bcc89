using System.Runtime.InteropServices;
using Dbt.Xen.Memory;

namespace Dbt.Xen.Grants;

/// <summary>GNTTABOP_map_grant_ref, unmap_grant_ref and unmap_and_replace: another domain's page in an L1 entry of the caller's.</summary>
internal static class GrantMap
{
    /// <summary>GNTMAP_ flags.</summary>
    public const uint DeviceMap = 1, HostMap = 2, ReadOnly = 4, ApplicationMap = 8, ContainsEntry = 16;

    private const int AvailableShift = 16;

    /// <summary>struct gnttab_map_grant_ref, 32 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    internal struct MapRequest
    {
        public ulong HostAddress;
        public uint Flags, Reference;
        public ushort Domain;
        public GrantStatus Status;
        public uint Handle;
        public ulong BusAddress;
    }

    /// <summary>struct gnttab_unmap_grant_ref and struct gnttab_unmap_and_replace, 24 bytes; the second address is the new one there.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    internal struct UnmapRequest
    {
        public ulong HostAddress, OtherAddress;
        public uint Handle;
        public GrantStatus Status;
        public ushort Padding;
    }

    public static void Map(Vcpu vcpu, ref MapRequest request)
    {
        uint flags = request.Flags;
        bool writable = (flags & ReadOnly) == 0;
        if ((flags & (HostMap | DeviceMap)) == 0)
        {
            request.Status = GrantStatus.BadReference;
            return;
        }

        if (Find(vcpu, request.Domain) is not { } remote)
        {
            request.Status = GrantStatus.BadDomain;
            return;
        }

        // One use of the grant for each kind of mapping.
        GrantTable table = remote.Grants, own = vcpu.Domain.Grants;
        int uses = System.Numerics.BitOperations.PopCount(flags & (HostMap | DeviceMap));
        uint mfn = 0;
        for (int taken = 0; taken < uses; taken++)
        {
            request.Status = table.Acquire(request.Reference, vcpu.Domain.Id, writable, mapping: true, out mfn);
            if (request.Status != GrantStatus.Okay)
            {
                Release(table, request.Reference, writable, taken);
                return;
            }
        }

        // Tracked before it is in the page tables: a walk that meets a foreign page asks.
        var mapping = new GrantTable.Mapping(flags, table, request.Reference, mfn);
        if (!own.TryTrack(mapping, out uint handle))
        {
            Release(table, request.Reference, writable, uses);
            request.Status = GrantStatus.NoSpace;
            return;
        }

        if ((flags & HostMap) != 0 && !vcpu.Domain.Memory.TryMapGrant(vcpu, request.HostAddress, EntryFor(mfn, flags), (flags & ContainsEntry) != 0))
        {
            // Another processor may have guessed the handle and ended a part of the mapping already.
            foreach (uint kind in (ReadOnlySpan<uint>)[HostMap, DeviceMap])
            {
                Release(table, request.Reference, writable, own.TryUntrack(handle, mapping, kind) ? 1 : 0);
            }

            request.Status = GrantStatus.GeneralError;
            return;
        }

        request.Handle = handle;
        request.BusAddress = (ulong)mfn << 12;
    }

    /// <summary>Ends the mappings of a handle that the addresses name; an address of 0 leaves its kind alone.</summary>
    public static GrantStatus Unmap(Vcpu vcpu, ulong hostAddress, ulong busAddress, ulong newAddress, uint handle)
    {
        GrantTable own = vcpu.Domain.Grants;
        if (!own.TryGetMapping(handle, out GrantTable.Mapping mapping))
        {
            return GrantStatus.BadHandle;
        }

        uint flags = mapping.Flags;
        uint mfn = mapping.Mfn;
        bool writable = (flags & ReadOnly) == 0;
        if (busAddress != 0 && (flags & DeviceMap) != 0)
        {
            if (busAddress != (ulong)mfn << 12)
            {
                return GrantStatus.BadDeviceAddress;
            }

            if (!own.TryUntrack(handle, mapping, DeviceMap))
            {
                return GrantStatus.BadHandle;
            }

            mapping.Remote!.Release(mapping.Reference, writable);
        }

        if (hostAddress != 0 && (flags & HostMap) != 0)
        {
            bool entry = (flags & ContainsEntry) != 0;
            return vcpu.Domain.Memory.TryUnmapGrant(
                vcpu, hostAddress, newAddress, EntryFor(mfn, flags), entry, () => own.TryUntrack(handle, mapping, HostMap), out bool stale)
                ? Done(vcpu, mapping, writable)
                : stale ? GrantStatus.BadHandle : GrantStatus.GeneralError;
        }

        return GrantStatus.Okay;
    }

    private static GrantStatus Done(Vcpu vcpu, in GrantTable.Mapping mapping, bool writable)
    {
        // The granter may do with the page what it likes from here on: none of our processors may still have it in hand.
        vcpu.Domain.Memory.SettleGrant(mapping.Mfn, writable);
        mapping.Remote!.Release(mapping.Reference, writable);
        return GrantStatus.Okay;
    }

    private static void Release(GrantTable table, uint reference, bool writable, int times)
    {
        for (int i = 0; i < times; i++)
        {
            table.Release(reference, writable);
        }
    }

    private static Domain? Find(Vcpu vcpu, ushort id) =>
        vcpu.Domain.IsSelf(id) ? vcpu.Domain : vcpu.Domain.Hypervisor.Find(id);

    // As Xen makes it: never executable, and with the bits that the guest may have for itself.
    private static ulong EntryFor(uint mfn, uint flags) =>
        ((ulong)mfn << 12) | PageTableEntry.Present | PageTableEntry.Accessed | PageTableEntry.Dirty | PageTableEntry.NoExecute
        | ((flags & ReadOnly) == 0 ? PageTableEntry.Writable : 0)
        | ((flags & ApplicationMap) != 0 ? PageTableEntry.User : 0)
        | (((ulong)(flags >> AvailableShift) << 9) & PageTableEntry.Available);
}
