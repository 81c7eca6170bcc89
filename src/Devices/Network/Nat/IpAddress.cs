using System.Buffers.Binary;
using System.Net;

namespace Dbt.Devices.Network.Nat;

/// <summary>An IPv6 address, or an IPv4 one in its mapped form (RFC 4291, 2.5.5.2): a key that costs no allocation.</summary>
/// <param name="High">The first eight bytes, as a number.</param>
/// <param name="Low">The last eight.</param>
internal readonly record struct IpAddress(ulong High, ulong Low)
{
    /// <summary>The IPv4 address of 32 bits, 10.0.2.2 being 0A000202h.</summary>
    public static IpAddress V4(uint bits) => new(0, 0xFFFF_0000_0000ul | bits);

    /// <summary>Reads 4 or 16 bytes in network order.</summary>
    public static IpAddress Read(ReadOnlySpan<byte> bytes) => bytes.Length == 4
        ? V4(BinaryPrimitives.ReadUInt32BigEndian(bytes))
        : new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    /// <summary>The same address.</summary>
    public static IpAddress From(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out int count);
        return Read(bytes[..count]);
    }

    /// <summary>Whether it is an IPv4 address.</summary>
    public bool IsV4 => High == 0 && Low >> 32 == 0xFFFF;

    /// <summary>The IPv4 address; meaningless for others.</summary>
    public uint Bits => (uint)Low;

    /// <summary>Writes 4 or 16 bytes in network order, as the length of the target asks.</summary>
    public void Write(Span<byte> target)
    {
        if (target.Length == 4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(target, Bits);
            return;
        }

        BinaryPrimitives.WriteUInt64BigEndian(target, High);
        BinaryPrimitives.WriteUInt64BigEndian(target[8..], Low);
    }

    /// <summary>The same address.</summary>
    public IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[IsV4 ? 4 : 16];
        Write(bytes);
        return new IPAddress(bytes);
    }

    /// <inheritdoc/>
    public override string ToString() => ToIPAddress().ToString();
}

/// <summary>A conversation as the guest sees it.</summary>
/// <param name="Guest">The guest's address.</param>
/// <param name="GuestPort">The guest's port, or the identifier of an ICMP echo.</param>
/// <param name="Remote">The address that the guest talks to.</param>
/// <param name="RemotePort">The port there.</param>
internal readonly record struct FlowKey(IpAddress Guest, ushort GuestPort, IpAddress Remote, ushort RemotePort);
