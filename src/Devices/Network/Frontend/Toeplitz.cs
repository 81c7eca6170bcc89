using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Frontend;

/// <summary>How flows are hashed (<c>XEN_NETIF_CTRL_HASH_ALGORITHM_*</c>).</summary>
internal enum HashAlgorithm : byte
{
    None,
    Toeplitz,
}

/// <summary>Over what (<c>_XEN_NETIF_CTRL_HASH_TYPE_*</c>).</summary>
internal enum HashType : byte
{
    V4,
    V4Tcp,
    V6,
    V6Tcp,
}

/// <summary>Toeplitz's hash as netif.h has it, and what of a frame goes into it.</summary>
internal static class Toeplitz
{
    /// <summary>Hash of bytes by a key; a key that is too short goes on with zeros.</summary>
    public static uint Hash(ReadOnlySpan<byte> key, ReadOnlySpan<byte> bytes)
    {
        Span<byte> start = stackalloc byte[8];
        start.Clear();
        key[..Math.Min(8, key.Length)].CopyTo(start);
        ulong prefix = BinaryPrimitives.ReadUInt64BigEndian(start);
        ulong hash = 0;
        int next = 8;
        foreach (byte value in bytes)
        {
            for (int bit = 7; bit >= 0; bit--)
            {
                if ((value >> bit & 1) != 0)
                {
                    hash ^= prefix;
                }

                prefix <<= 1;
            }

            prefix |= next < key.Length ? key[next] : (byte)0;
            next++;
        }

        return (uint)(hash >> 32);
    }

    /// <summary>The widest kind of hash that is enabled and that a frame allows, with the bytes that go into it.</summary>
    /// <param name="frame">An Ethernet frame.</param>
    /// <param name="enabled">Bits of <see cref="HashType"/>.</param>
    /// <param name="type">The kind.</param>
    /// <param name="input">Room for 36 bytes.</param>
    /// <returns>How many bytes go into it; 0 where the frame is not to be hashed.</returns>
    public static int Input(ReadOnlySpan<byte> frame, uint enabled, out HashType type, Span<byte> input)
    {
        type = default;
        const int network = FrameHeaders.EthernetLength;
        bool v4 = frame.Length >= network + 20 && BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == 0x0800;
        bool v6 = frame.Length >= network + 40 && BinaryPrimitives.ReadUInt16BigEndian(frame[12..]) == 0x86DD;
        if (!v4 && !v6)
        {
            return 0;
        }

        HashType wide = v4 ? HashType.V4Tcp : HashType.V6Tcp;
        HashType narrow = v4 ? HashType.V4 : HashType.V6;
        ReadOnlySpan<byte> addresses = v4 ? frame.Slice(network + 12, 8) : frame.Slice(network + 8, 32);
        if ((enabled >> (int)wide & 1) != 0 && FrameHeaders.TryParse(frame, out FrameHeaders headers) && headers.IsTcp)
        {
            type = wide;
            addresses.CopyTo(input);
            frame.Slice(headers.Transport, 4).CopyTo(input[addresses.Length..]);
            return addresses.Length + 4;
        }

        if ((enabled >> (int)narrow & 1) != 0)
        {
            type = narrow;
            addresses.CopyTo(input);
            return addresses.Length;
        }

        return 0;
    }
}
