using System.Runtime.InteropServices;
using static Dbt.Xen.Abi.Errno;

namespace Dbt.Xen.Memory;

/// <summary>XENMEM_memory_map: the pseudo-physical memory map, one range of RAM up to what the domain may own.</summary>
internal static class MemoryMaps
{
    private const uint Ram = 1;

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

        uint entries = Math.Min((uint)request, 1), buffer = (uint)(request >> 32);
        DomainMemory memory = vcpu.Domain.Memory;
        var ram = new Entry { Size = (ulong)Math.Max(memory.MaxPages, memory.PageCount) << 12, Type = Ram };
        if (entries != 0 && !GuestAccess.TryWrite(vcpu, buffer, ram))
        {
            return -EFAULT;
        }

        return GuestAccess.TryWrite(vcpu, argument, entries | ((ulong)buffer << 32)) ? 0 : -EFAULT;
    }
}
