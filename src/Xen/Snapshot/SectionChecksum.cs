using System.Numerics;
using System.Runtime.InteropServices;

namespace Dbt.Xen.Snapshot;

/// <summary>CRC-32C (Castagnoli) of a section, as iSCSI has it. Finds damage, and nothing else: whoever changes a section can make a new one.</summary>
internal static class SectionChecksum
{
    /// <summary>Of the header's first three words, and the fields.</summary>
    public static uint Of(ReadOnlySpan<byte> header, ReadOnlySpan<byte> fields) => ~Add(Add(uint.MaxValue, header), fields);

    private static uint Add(uint crc, ReadOnlySpan<byte> bytes)
    {
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (byte value in bytes[(bytes.Length & ~7)..])
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return crc;
    }
}
