using System.Buffers.Binary;
using System.Text;

namespace Dbt.Xen.Hvm;

/// <summary>
/// The ACPI tables of a PVH domain: hardware-reduced, with the processors' local APICs and nothing else (ACPI 6.4, chapter 5; what Xen's
/// toolstack makes of libacpi for such a domain).
/// </summary>
internal static class AcpiTables
{
    private const int RsdpBytes = 36, HeaderBytes = 36, FadtBytes = 268, Alignment = 64;
    private const byte FadtRevision = 5, FadtMinor = 1;

    // FADT: WBINVD works, no fixed buttons, hardware-reduced. Boot flags: no VGA, no MSI, no ASPM, no CMOS clock.
    private const uint FadtFlags = 0x1 | (1 << 4) | (1 << 5) | (1 << 20);
    private const ushort BootFlags = (1 << 2) | (1 << 3) | (1 << 4) | (1 << 5);

    /// <summary>Makes the tables for where they will lie.</summary>
    /// <param name="address">Guest-physical address of the first byte, where the RSDP is.</param>
    /// <param name="processors">Number of processors, of which all are enabled.</param>
    public static byte[] Make(uint address, int processors)
    {
        var area = new Area(address);
        area.Reserve(RsdpBytes);
        uint dsdt = area.Add(Table("DSDT", 2, HeaderBytes));
        uint fadt = area.Add(Fadt(dsdt));
        uint madt = area.Add(Madt(processors));
        byte[] xsdt = Table("XSDT", 1, HeaderBytes + 16);
        BinaryPrimitives.WriteUInt64LittleEndian(xsdt.AsSpan(HeaderBytes), fadt);
        BinaryPrimitives.WriteUInt64LittleEndian(xsdt.AsSpan(HeaderBytes + 8), madt);
        WriteRsdp(area.Bytes, area.Add(xsdt));
        return area.Bytes[..area.Length];
    }

    private static void WriteRsdp(Span<byte> rsdp, uint xsdt)
    {
        "RSD PTR "u8.CopyTo(rsdp);
        "Xen   "u8.CopyTo(rsdp[9..]);
        rsdp[15] = 2;
        BinaryPrimitives.WriteUInt32LittleEndian(rsdp[20..], RsdpBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(rsdp[24..], xsdt);
        rsdp[8] = Checksum(rsdp[..20]);
        rsdp[32] = Checksum(rsdp[..RsdpBytes]);
    }

    private static byte[] Fadt(uint dsdt)
    {
        byte[] fadt = Table("FACP", FadtRevision, FadtBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(fadt.AsSpan(40), dsdt);
        BinaryPrimitives.WriteUInt16LittleEndian(fadt.AsSpan(109), BootFlags);
        BinaryPrimitives.WriteUInt32LittleEndian(fadt.AsSpan(112), FadtFlags);
        fadt[131] = FadtMinor;
        BinaryPrimitives.WriteUInt64LittleEndian(fadt.AsSpan(140), dsdt);
        return fadt;
    }

    private static byte[] Madt(int processors)
    {
        const int fixedBytes = HeaderBytes + 8, entryBytes = 8;
        byte[] madt = Table("APIC", 4, fixedBytes + (processors * entryBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(madt.AsSpan(HeaderBytes), (uint)LocalApic.Address);
        for (int i = 0; i < processors; i++)
        {
            Span<byte> entry = madt.AsSpan(fixedBytes + (i * entryBytes), entryBytes);
            entry[1] = entryBytes;
            entry[2] = (byte)i;
            entry[3] = (byte)(i * 2);
            entry[4] = 1;
        }

        return madt;
    }

    private static byte[] Table(string signature, byte revision, int bytes)
    {
        byte[] table = new byte[bytes];
        Encoding.ASCII.GetBytes(signature, table);
        BinaryPrimitives.WriteInt32LittleEndian(table.AsSpan(4), bytes);
        table[8] = revision;
        "Xen   HVM     "u8.CopyTo(table.AsSpan(10));
        "DBT "u8.CopyTo(table.AsSpan(28));
        return table;
    }

    private static byte Checksum(ReadOnlySpan<byte> bytes)
    {
        byte sum = 0;
        foreach (byte b in bytes)
        {
            sum += b;
        }

        return (byte)-sum;
    }

    /// <summary>Tables behind each other, each sealed with its checksum.</summary>
    private sealed class Area(uint address)
    {
        public byte[] Bytes { get; } = new byte[8192];

        public int Length { get; private set; }

        public void Reserve(int bytes) => Length += (bytes + Alignment - 1) & -Alignment;

        public uint Add(byte[] table)
        {
            table[9] = Checksum(table);
            uint at = address + (uint)Length;
            table.CopyTo(Bytes, Length);
            Reserve(table.Length);
            return at;
        }
    }
}
