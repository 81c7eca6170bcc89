using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Dbt.Devices.Network.Frontend;

/// <summary>
/// The control ring (netif.h, "Control requests"): the guest says how flows are hashed and which queue they go to. Requests that need
/// mappings kept (<c>GREF_MAPPING</c>) aren't supported, which the header allows.
/// </summary>
internal sealed unsafe class ControlRing(
    IFrontend frontend, SlotRing ring, IEventLink link, int queues, FlowSteering steering, Action<FlowSteering> apply) : IDisposable
{
    /// <summary>Bytes of a slot.</summary>
    public const int SlotSize = 16;

    private const uint AllTypes = 15;
    private const int EntriesPerPage = 1024;

    /// <summary>Types of requests (<c>XEN_NETIF_CTRL_TYPE_*</c>).</summary>
    private enum Request : ushort
    {
        GetHashFlags = 1,
        SetHashFlags = 2,
        SetHashKey = 3,
        GetHashMappingSize = 4,
        SetHashMappingSize = 5,
        SetHashMapping = 6,
        SetHashAlgorithm = 7,
    }

    /// <summary>Outcomes (<c>XEN_NETIF_CTRL_STATUS_*</c>).</summary>
    private enum Status : uint
    {
        Success,
        NotSupported,
        InvalidParameter,
        BufferOverflow,
    }

    private FlowSteering Steering { get; set; } = steering;

    /// <summary>Carries out what is on the ring, at most as many requests as it has slots.</summary>
    public RoundResult Round()
    {
        Span<byte> slot = stackalloc byte[SlotSize];
        Span<byte> response = stackalloc byte[12];
        for (uint i = 0; i < ring.Size && ring.Available() > 0; i++)
        {
            ring.Fetch(0, slot);
            ring.Consume(1);
            uint data = 0;
            Status status = Handle(
                (Request)BinaryPrimitives.ReadUInt16LittleEndian(slot[2..]),
                BinaryPrimitives.ReadUInt32LittleEndian(slot[4..]),
                BinaryPrimitives.ReadUInt32LittleEndian(slot[8..]),
                BinaryPrimitives.ReadUInt32LittleEndian(slot[12..]),
                ref data);

            // Before the guest is told that it holds.
            apply(Steering);
            slot[..4].CopyTo(response);
            BinaryPrimitives.WriteUInt32LittleEndian(response[4..], (uint)status);
            BinaryPrimitives.WriteUInt32LittleEndian(response[8..], data);
            ring.Put(response);
            if (ring.Push())
            {
                link.Notify();
            }
        }

        return ring.IsBroken ? RoundResult.Failed : ring.HasMore() ? RoundResult.More : RoundResult.Idle;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        ring.Dispose();
        link.Dispose();
    }

    private Status Handle(Request request, uint first, uint second, uint third, ref uint data)
    {
        switch (request)
        {
            case Request.GetHashFlags when Steering.Algorithm == HashAlgorithm.None:
            case Request.SetHashFlags when Steering.Algorithm == HashAlgorithm.None:
                return Status.NotSupported;
            case Request.GetHashFlags:
                data = AllTypes;
                return Status.Success;
            case Request.SetHashFlags when first <= AllTypes:
                Steering = Steering with { Types = first };
                return Status.Success;
            case Request.SetHashKey:
                return SetKey(first, second);
            case Request.GetHashMappingSize:
                data = FlowSteering.MaxMapping;
                return Status.Success;
            case Request.SetHashMappingSize when first <= FlowSteering.MaxMapping:
                Steering = Steering with { Mapping = new uint[first] };
                return Status.Success;
            case Request.SetHashMapping:
                return SetMapping(first, second, third);
            case Request.SetHashAlgorithm when first <= (uint)HashAlgorithm.Toeplitz:
                Steering = Steering with { Algorithm = (HashAlgorithm)first };
                return Status.Success;
            case Request.SetHashFlags or Request.SetHashMappingSize or Request.SetHashAlgorithm:
                return Status.InvalidParameter;
            default:
                return Status.NotSupported;
        }
    }

    private Status SetKey(uint reference, uint length)
    {
        if (length > FlowSteering.MaxKey)
        {
            return Status.BufferOverflow;
        }

        var key = new byte[length];
        if (length > 0 && !TryRead(reference, key))
        {
            return Status.InvalidParameter;
        }

        Steering = Steering with { Key = key };
        return Status.Success;
    }

    private Status SetMapping(uint reference, uint count, uint offset)
    {
        uint[] old = Steering.Mapping;
        if (count > EntriesPerPage || offset > (uint)old.Length || count > (uint)old.Length - offset)
        {
            return Status.InvalidParameter;
        }

        var part = new uint[count];
        if (count == 0)
        {
            return Status.Success;
        }

        if (!TryRead(reference, MemoryMarshal.AsBytes(part.AsSpan())) || part.Any(queue => queue >= (uint)queues))
        {
            return Status.InvalidParameter;
        }

        var mapping = (uint[])old.Clone();
        part.CopyTo(mapping, offset);
        Steering = Steering with { Mapping = mapping };
        return Status.Success;
    }

    private bool TryRead(uint reference, Span<byte> bytes)
    {
        if (!frontend.TryMapGrant(reference, false, out ISharedPage? page))
        {
            return false;
        }

        using (page)
        {
            new ReadOnlySpan<byte>(page.Host, bytes.Length).CopyTo(bytes);
        }

        return true;
    }
}
