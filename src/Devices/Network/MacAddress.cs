using System.Globalization;
using System.Security.Cryptography;

namespace Dbt.Devices.Network;

/// <summary>An Ethernet address.</summary>
/// <param name="Value">The six bytes as a number, the first byte highest.</param>
public readonly record struct MacAddress(ulong Value)
{
    /// <summary>Bytes of an address.</summary>
    public const int Length = 6;

    // Xen's, given to it by the IEEE; xl makes addresses in it too.
    private const ulong XenOui = 0x00163EUL << 24;

    /// <summary>The address that everybody listens to.</summary>
    public static MacAddress Broadcast { get; } = new(0xFFFF_FFFF_FFFF);

    /// <summary>Whether frames to it go to several receivers; true of <see cref="Broadcast"/> too.</summary>
    public bool IsMulticast => (Value >> 40 & 1) != 0;

    /// <summary>Reads <c>00:16:3e:12:34:56</c>; case doesn't matter, and '-' may stand for ':'.</summary>
    /// <returns>False where it isn't an address.</returns>
    public static bool TryParse(string text, out MacAddress address)
    {
        address = default;
        string[] parts = text.Split(':', '-');
        if (parts.Length != Length)
        {
            return false;
        }

        ulong value = 0;
        foreach (string part in parts)
        {
            if (part.Length is 0 or > 2 || !byte.TryParse(part, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out byte octet))
            {
                return false;
            }

            value = value << 8 | octet;
        }

        address = new MacAddress(value);
        return true;
    }

    /// <summary>
    /// An address of Xen's range (00:16:3e) for a domain's card: always the same for the same <paramref name="uuid"/> and
    /// <paramref name="handle"/>, so that a guest whose uuid is in its configuration keeps its address.
    /// </summary>
    public static MacAddress FromUuid(Guid uuid, uint handle)
    {
        Span<byte> source = stackalloc byte[20];
        uuid.TryWriteBytes(source);
        BitConverter.TryWriteBytes(source[16..], handle);
        Span<byte> digest = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(source, digest);
        return InXenRange((uint)(digest[0] << 16 | digest[1] << 8 | digest[2]));
    }

    /// <summary>A random address of Xen's range.</summary>
    public static MacAddress Random() => InXenRange((uint)RandomNumberGenerator.GetInt32(1 << 24));

    /// <summary>Reads six bytes of a frame.</summary>
    public static MacAddress Read(ReadOnlySpan<byte> bytes) => new(
        (ulong)bytes[5] | (ulong)bytes[4] << 8 | (ulong)bytes[3] << 16 | (ulong)bytes[2] << 24 | (ulong)bytes[1] << 32 | (ulong)bytes[0] << 40);

    /// <summary>Writes the six bytes.</summary>
    public void Write(Span<byte> bytes)
    {
        for (int i = 0; i < Length; i++)
        {
            bytes[i] = (byte)(Value >> (40 - (8 * i)));
        }
    }

    /// <summary>As <c>00:16:3e:12:34:56</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(byte)(Value >> 40):x2}:{(byte)(Value >> 32):x2}:{(byte)(Value >> 24):x2}:{(byte)(Value >> 16):x2}:{(byte)(Value >> 8):x2}:{(byte)Value:x2}");

    // As xl does: the last three bytes at random, the highest bit of them clear.
    private static MacAddress InXenRange(uint low) => new(XenOui | (low & 0x7F_FFFF));
}
