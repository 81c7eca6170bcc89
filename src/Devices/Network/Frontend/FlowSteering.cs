using System.Buffers.Binary;
using Dbt.Devices.Network.Offload;

namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// Which queue a frame to the guest goes to: by default a hash of ours, so that a flow stays on one queue; or as the guest said through its
/// control ring. Replaced as a whole with each change, so that a sender sees one state or the other.
/// </summary>
internal sealed record FlowSteering
{
    /// <summary>Longest key, and most entries of a mapping, that a guest may set.</summary>
    public const int MaxKey = 40, MaxMapping = 128;

    private const int MaxInput = 36;

    /// <summary>What the guest chose.</summary>
    public HashAlgorithm Algorithm { get; init; }

    /// <summary>Enabled kinds, bits of <see cref="HashType"/>; 0 leaves the choice of a queue to us.</summary>
    public uint Types { get; init; }

    /// <summary>Key of the hash.</summary>
    public byte[] Key { get; init; } = [];

    /// <summary>Queue of each hash modulo its length; empty for the hash modulo the number of queues.</summary>
    public uint[] Mapping { get; init; } = [];

    /// <summary>Chooses a queue.</summary>
    /// <param name="frame">The frame.</param>
    /// <param name="queues">How many there are, at least one.</param>
    /// <param name="hash">What the guest is told of the flow, where it wants that.</param>
    public int Choose(ReadOnlySpan<byte> frame, int queues, out (HashType Type, uint Value)? hash)
    {
        hash = null;
        if (Algorithm != HashAlgorithm.Toeplitz || Types == 0)
        {
            return queues == 1 ? 0 : (int)(Spread(frame) % (uint)queues);
        }

        Span<byte> input = stackalloc byte[MaxInput];
        uint value = 0;
        int length = Toeplitz.Input(frame, Types, out HashType type, input);
        if (length > 0)
        {
            value = Toeplitz.Hash(Key, input[..length]);
            hash = (type, value);
        }

        uint queue = Mapping.Length > 0 ? Mapping[value % (uint)Mapping.Length] : value;
        return (int)(queue % (uint)queues);
    }

    // Addresses and ports mixed; not worth guessing at by who would overload one queue, since a guest's queues are all its own.
    private static uint Spread(ReadOnlySpan<byte> frame)
    {
        if (!FrameHeaders.TryParse(frame, out FrameHeaders headers))
        {
            return 0;
        }

        ReadOnlySpan<byte> addresses = headers.IsV6 ? frame.Slice(headers.Network + 8, 32) : frame.Slice(headers.Network + 12, 8);
        uint hash = BinaryPrimitives.ReadUInt32BigEndian(frame[headers.Transport..]);
        for (int i = 0; i < addresses.Length; i += 4)
        {
            hash = (hash * 0x9E3779B1) ^ BinaryPrimitives.ReadUInt32BigEndian(addresses[i..]);
        }

        hash *= 0x85EBCA6B;
        return hash >> 16;
    }
}
