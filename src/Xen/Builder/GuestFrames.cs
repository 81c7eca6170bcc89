using System.Runtime.InteropServices;
using Dbt.Runtime.Memory;

namespace Dbt.Xen.Builder;

/// <summary>A new domain's frames by PFN, written before it runs.</summary>
internal sealed unsafe class GuestFrames(MachineMemory machine, uint[] p2m)
{
    /// <summary>MFN of each PFN.</summary>
    public uint[] P2m => p2m;

    /// <summary>Copies bytes to a pseudo-physical address; they may span frames.</summary>
    public void Write(ulong address, ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int offset = (int)(address & 0xFFF);
            int count = Math.Min(bytes.Length, 4096 - offset);
            bytes[..count].CopyTo(Page((uint)(address >> 12))[offset..]);
            bytes = bytes[count..];
            address += (uint)count;
        }
    }

    /// <summary>A frame's 4096 bytes.</summary>
    public Span<byte> Page(uint pfn) => new(machine.Frame(p2m[pfn]), 4096);

    /// <summary>Where a byte of a machine address lies.</summary>
    public byte* Host(ulong address) => machine.Frame((uint)(address >> 12)) + (address & 0xFFF);

    /// <summary>A frame's 512 page-table entries.</summary>
    public Span<ulong> Table(uint pfn) => MemoryMarshal.Cast<byte, ulong>(Page(pfn));
}
