using System.Buffers.Binary;

namespace Dbt.Xen.Hvm;

/// <summary>struct hvm_start_info, version 1, with the structures that it points to behind it (public/arch-x86/hvm/start_info.h).</summary>
internal static class HvmStartInfo
{
    /// <summary>Room that is kept for it.</summary>
    public const uint MaxBytes = 0x2000;

    /// <summary>Bytes of a command line, its end included.</summary>
    public const int CommandLineBytes = 4096;

    private const uint Magic = 0x336EC578;
    private const int Version = 1, InfoBytes = 56, ModuleBytes = 32, RangeBytes = 24;

    /// <summary>Makes it for where it will lie.</summary>
    /// <param name="layout">The domain's layout.</param>
    /// <param name="ramdiskBytes">Length of the only module; 0 for none.</param>
    /// <param name="commandLine">Without its end, shorter than <see cref="CommandLineBytes"/>.</param>
    public static byte[] Make(HvmLayout layout, int ramdiskBytes, ReadOnlySpan<byte> commandLine)
    {
        byte[] bytes = new byte[MaxBytes];
        const int module = InfoBytes, map = module + ModuleBytes;
        int text = map + (layout.MemoryMap.Count * RangeBytes);
        Span<byte> info = bytes;
        BinaryPrimitives.WriteUInt32LittleEndian(info, Magic);
        BinaryPrimitives.WriteInt32LittleEndian(info[4..], Version);
        if (ramdiskBytes != 0)
        {
            BinaryPrimitives.WriteInt32LittleEndian(info[12..], 1);
            BinaryPrimitives.WriteUInt64LittleEndian(info[16..], layout.StartInfo + module);
            BinaryPrimitives.WriteUInt64LittleEndian(info[module..], layout.Ramdisk);
            BinaryPrimitives.WriteUInt64LittleEndian(info[(module + 8)..], (ulong)ramdiskBytes);
        }

        BinaryPrimitives.WriteUInt64LittleEndian(info[24..], layout.StartInfo + (ulong)text);
        BinaryPrimitives.WriteUInt64LittleEndian(info[32..], HvmLayout.AcpiAddress);
        BinaryPrimitives.WriteUInt64LittleEndian(info[40..], layout.StartInfo + map);
        BinaryPrimitives.WriteInt32LittleEndian(info[48..], layout.MemoryMap.Count);
        for (int i = 0; i < layout.MemoryMap.Count; i++)
        {
            Span<byte> range = info[(map + (i * RangeBytes))..];
            BinaryPrimitives.WriteUInt64LittleEndian(range, layout.MemoryMap[i].Start);
            BinaryPrimitives.WriteUInt64LittleEndian(range[8..], layout.MemoryMap[i].Bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(range[16..], layout.MemoryMap[i].Type);
        }

        commandLine.CopyTo(info[text..]);
        return bytes;
    }
}
