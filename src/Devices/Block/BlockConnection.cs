using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using Dbt.Devices.Store;

namespace Dbt.Devices.Block;

/// <summary>What a frontend published for one connection: ring pages, event channel, layout. All of it is the guest's word.</summary>
internal sealed class BlockConnection : IEquatable<BlockConnection>
{
    private readonly uint[] _references;

    private BlockConnection(uint[] references, uint port, BlockProtocol protocol)
    {
        _references = references;
        Port = port;
        Protocol = protocol;
    }

    /// <summary>The guest's event channel.</summary>
    public uint Port { get; }

    /// <summary>Layout of requests and responses.</summary>
    public BlockProtocol Protocol { get; }

    /// <summary>The frontend's state; <see cref="XenbusState.Unknown"/> where there is no node, or no number in it.</summary>
    public static XenbusState ReadState(XenStore store, string front) =>
        TryNumber(store, front + "/state", out uint state) && state <= (uint)XenbusState.Reconfigured ? (XenbusState)state : XenbusState.Unknown;

    /// <summary>Reads the frontend's nodes.</summary>
    /// <returns>False, with a reason, where they are absent or can't be used.</returns>
    public static bool TryRead(
        XenStore store, string front, int maxOrder, [NotNullWhen(true)] out BlockConnection? connection, [NotNullWhen(false)] out string? why)
    {
        connection = null;
        if (!TryNumber(store, front + "/event-channel", out uint port))
        {
            why = "the frontend named no event channel";
            return false;
        }

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

        if (!TryReadReferences(store, front, maxOrder, out uint[] references))
        {
            why = "the frontend named no ring, or too large a one";
            return false;
        }

        why = null;
        connection = new BlockConnection(references, port, protocol);
        return true;
    }

    /// <summary>Maps the ring; null where a page isn't granted.</summary>
    public BlockRing? MapRing(IFrontend frontend)
    {
        var pages = new ISharedPage[_references.Length];
        for (int i = 0; i < pages.Length; i++)
        {
            if (!frontend.TryMapGrant(_references[i], true, out ISharedPage? page))
            {
                for (int mapped = 0; mapped < i; mapped++)
                {
                    pages[mapped].Dispose();
                }

                return null;
            }

            pages[i] = page;
        }

        return new BlockRing(pages, Protocol);
    }

    /// <inheritdoc/>
    public bool Equals(BlockConnection? other) =>
        other is not null && Port == other.Port && Protocol == other.Protocol && _references.AsSpan().SequenceEqual(other._references);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as BlockConnection);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Port, _references[0]);

    // "ring-ref" for one page; "ring-ref0" and so on for 2^ring-page-order (or num-ring-pages, the older name) of them.
    private static bool TryReadReferences(XenStore store, string front, int maxOrder, out uint[] references)
    {
        uint pages = 1;
        bool several = false;
        if (TryNumber(store, front + "/ring-page-order", out uint order))
        {
            several = true;
            pages = order <= maxOrder ? 1u << (int)order : 0;
        }
        else if (TryNumber(store, front + "/num-ring-pages", out uint number))
        {
            several = true;
            pages = number <= 1u << maxOrder && System.Numerics.BitOperations.IsPow2(number) ? number : 0;
        }

        references = new uint[pages];
        if (pages == 1 && TryNumber(store, front + "/ring-ref", out references[0]))
        {
            return true;
        }

        for (int i = 0; i < references.Length; i++)
        {
            if (!TryNumber(store, $"{front}/ring-ref{i.ToString(CultureInfo.InvariantCulture)}", out references[i]))
            {
                return false;
            }
        }

        return several && pages > 0;
    }

    /// <summary>A node's number; null where there is none.</summary>
    public static uint? ReadNumber(XenStore store, string path) => TryNumber(store, path, out uint value) ? value : null;

    private static bool TryNumber(XenStore store, string path, out uint value)
    {
        value = 0;
        return uint.TryParse(store.Read(path), NumberStyles.None, CultureInfo.InvariantCulture, out value);
    }
}
