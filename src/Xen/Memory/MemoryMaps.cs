using System.Runtime.InteropServices;
using Dbt.Xen.Hvm;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>XENMEM_memory_map: the pseudo-physical memory map, one range of RAM up to what the domain may own; an auto-translated domain's is as it was built.</summary>
internal static class MemoryMaps
{
    private const uint Ram = 1, EntryBytes = 20;

    /// <summary>One entry of the PC's E820 map, 20 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct Entry
    {
        public ulong Address, Size;
        public uint Type;
    }

    /// <param name="vcpu">The caller.</param>
    /// <param name="argument">struct xen_memory_map: entries the buffer holds, then those written; the buffer.</param>
    public static int Copy(Vcpu vcpu, uint argument)
    {
        if (!GuestAccess.TryRead(vcpu, argument, out ulong request))
        {
            return -EFAULT;
        }

        if (vcpu.Domain.Hvm is { } hvm)
        {
            return CopyTranslated(vcpu, argument, (uint)request, (uint)(request >> 32), hvm.MemoryMap);
        }

        uint entries = Math.Min((uint)request, 1), buffer = (uint)(request >> 32);
        DomainMemory memory = vcpu.Domain.Memory;
        var ram = new Entry { Size = (ulong)Math.Max(memory.MaxPages, memory.PageCount) << 12, Type = Ram };
        if (entries != 0 && !GuestAccess.TryWrite(vcpu, buffer, ram))
        {
            return -EFAULT;
        }

        return GuestAccess.TryWrite(vcpu, argument, entries | ((ulong)buffer << 32)) ? 0 : -EFAULT;
    }

    private static int CopyTranslated(Vcpu vcpu, uint argument, uint room, uint buffer, IReadOnlyList<MemoryRange> map)
    {
        uint entries = Math.Min(room, (uint)map.Count);
        for (int i = 0; i < entries; i++)
        {
            var entry = new Entry { Address = map[i].Start, Size = map[i].Bytes, Type = map[i].Type };
            if (!GuestAccess.TryWrite(vcpu, buffer + ((uint)i * EntryBytes), entry))
            {
                return -EFAULT;
            }
        }

        return GuestAccess.TryWrite(vcpu, argument, entries) ? 0 : -EFAULT;
    }
}
