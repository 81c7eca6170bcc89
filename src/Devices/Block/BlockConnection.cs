using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Numerics;
using Dbt.Devices.Store;

namespace Dbt.Devices.Block;

/// <summary>What a frontend published for one connection: queues with ring pages and event channel, layout. All of it is the guest's word.</summary>
internal sealed class BlockConnection : IEquatable<BlockConnection>
{
    /// <summary>Pages of a ring at most, as a power of two; and queues.</summary>
    public const int MaxRingPageOrder = 4, MaxQueues = 4;

    private readonly Ring[] _rings;

    private BlockConnection(Ring[] rings, BlockProtocol protocol, bool persistent)
    {
        _rings = rings;
        Protocol = protocol;
        Persistent = persistent;
    }

    /// <summary>The queues' rings, one at least.</summary>
    public IReadOnlyList<Ring> Rings => _rings;

    /// <summary>Layout of requests and responses.</summary>
    public BlockProtocol Protocol { get; }

    /// <summary>Whether the frontend uses the same grants again and again.</summary>
    public bool Persistent { get; }

    /// <summary>The frontend's state; <see cref="XenbusState.Unknown"/> where there is no node, or no number in it.</summary>
    public static XenbusState ReadState(XenStore store, string front) =>
        ReadNumber(store, front + "/state") is uint state and <= (uint)XenbusState.Reconfigured ? (XenbusState)state : XenbusState.Unknown;

    /// <summary>A node's number; null where there is none.</summary>
    public static uint? ReadNumber(XenStore store, string path) =>
        uint.TryParse(store.Read(path), NumberStyles.None, CultureInfo.InvariantCulture, out uint value) ? value : null;

    /// <summary>Reads the frontend's nodes.</summary>
    /// <returns>False, with a reason, where they are absent or can't be used.</returns>
    public static bool TryRead(
        XenStore store, string front, [NotNullWhen(true)] out BlockConnection? connection, [NotNullWhen(false)] out string? why)
    {
        connection = null;
        BlockProtocol protocol;
        switch (store.Read(front + "/protocol"))
        {
            case null or "" or "x86_32-abi":
                protocol = BlockProtocol.X86Bits32;
                break;
            case "x86_64-abi":
                protocol = BlockProtocol.X86Bits64;
                break;
            default:
                why = "the frontend speaks an unknown protocol";
                return false;
        }

        // Absent, it is one; what is there and no number is none.
        uint queues = store.Exists(front + "/multi-queue-num-queues") ? ReadNumber(store, front + "/multi-queue-num-queues") ?? 0 : 1;
        if (queues is 0 or > MaxQueues)
        {
            why = $"the frontend wants a number of queues that is not from 1 to {MaxQueues}";
            return false;
        }

        uint? pages = ReadPages(store, front);
        if (pages is null)
        {
            why = "the frontend named no ring, or too large a one";
            return false;
        }

        var rings = new Ring[queues];
        for (int i = 0; i < rings.Length; i++)
        {
            string folder = queues == 1 ? front : $"{front}/queue-{i.ToString(CultureInfo.InvariantCulture)}";
            if (ReadNumber(store, folder + "/event-channel") is not uint port)
            {
                why = "the frontend named no event channel";
                return false;
            }

            if (!TryReadReferences(store, folder, pages.Value, out uint[] references))
            {
                why = "the frontend named no ring, or too large a one";
                return false;
            }

            rings[i] = new Ring(references, port);
        }

        why = null;
        connection = new BlockConnection(rings, protocol, store.Read(front + "/feature-persistent") == "1");
        return true;
    }

    /// <inheritdoc/>
    public bool Equals(BlockConnection? other) =>
        other is not null && Protocol == other.Protocol && Persistent == other.Persistent && _rings.AsSpan().SequenceEqual(other._rings);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as BlockConnection);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Protocol, Persistent, _rings[0]);

    // Of each ring: 2^ring-page-order, or num-ring-pages, the older name; one without either. Null where that is too many.
    private static uint? ReadPages(XenStore store, string front) =>
        ReadNumber(store, front + "/ring-page-order") is uint order ? (order <= MaxRingPageOrder ? 1u << (int)order : null)
        : ReadNumber(store, front + "/num-ring-pages") is not uint number ? 1
        : BitOperations.IsPow2(number) && number <= 1u << MaxRingPageOrder ? number : null;

    // "ring-ref" for one page, "ring-ref0" and so on for more. Some frontends use the latter for one page as well.
    private static bool TryReadReferences(XenStore store, string folder, uint pages, out uint[] references)
    {
        references = new uint[pages];
        if (pages == 1 && ReadNumber(store, folder + "/ring-ref") is uint only)
        {
            references[0] = only;
            return true;
        }

        for (int i = 0; i < references.Length; i++)
        {
            if (ReadNumber(store, $"{folder}/ring-ref{i.ToString(CultureInfo.InvariantCulture)}") is not uint reference)
            {
                return false;
            }

            references[i] = reference;
        }

        return true;
    }

    /// <summary>One queue's ring.</summary>
    public sealed class Ring(uint[] references, uint port) : IEquatable<Ring>
    {
        /// <summary>The guest's event channel.</summary>
        public uint Port => port;

        /// <summary>Maps the ring; null where a page isn't granted.</summary>
        public BlockRing? Map(IFrontend frontend, BlockProtocol protocol)
        {
            var pages = new ISharedPage[references.Length];
            for (int i = 0; i < pages.Length; i++)
            {
                if (!frontend.TryMapGrant(references[i], true, out ISharedPage? page))
                {
                    for (int mapped = 0; mapped < i; mapped++)
                    {
                        pages[mapped].Dispose();
                    }

                    return null;
                }

                pages[i] = page;
            }

            return new BlockRing(pages, protocol);
        }

        /// <inheritdoc/>
        public bool Equals(Ring? other) => other is not null && port == other.Port && other.HasReferences(references);

        /// <inheritdoc/>
        public override bool Equals(object? obj) => Equals(obj as Ring);

        /// <inheritdoc/>
        public override int GetHashCode() => HashCode.Combine(port, references[0]);

        private bool HasReferences(uint[] others) => references.AsSpan().SequenceEqual(others);
    }
}
