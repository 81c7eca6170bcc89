namespace Dbt.Devices.Network;

/// <summary>What a receiver of frames takes undone; a sender must do the rest itself (<see cref="FrameOffload"/>).</summary>
/// <param name="ChecksumBlank">Frames whose TCP or UDP checksum is still to be completed.</param>
/// <param name="SegmentV4">TCP/IPv4 frames of up to 65,535 bytes and a header, to be cut by the receiver.</param>
/// <param name="SegmentV6">The same of TCP/IPv6.</param>
public readonly record struct LinkFeatures(bool ChecksumBlank, bool SegmentV4, bool SegmentV6);

/// <summary>
/// One end of a virtual cable, as seen by who sends into it. Frames are Ethernet frames without FCS, at most 65,549 bytes. A callee may not
/// keep the span beyond the call, and may not block: what can't be taken now is refused or dropped.
/// </summary>
public interface INetworkEnd
{
    /// <summary>What this end takes. May change (a guest's frontend connects, sets its control ring), so ask before each frame.</summary>
    LinkFeatures Features { get; }

    /// <summary>Hands a frame over; called from any thread, also by several at once.</summary>
    /// <returns>False where there is no room at the moment: drop it, or wait for <see cref="RoomAvailable"/> and send it again.</returns>
    bool Send(ReadOnlySpan<byte> frame, FrameOffload offload);

    /// <summary>Raised, on any thread, when frames will be taken again after one was refused.</summary>
    event Action? RoomAvailable;
}

/// <summary>
/// What a guest's network card is plugged into: a network address translator, a TAP device, a switch. The guest's frames come by
/// <see cref="INetworkEnd.Send"/>; what is meant for it goes to the end given to <see cref="Connect"/>.
/// </summary>
public interface INetworkBackend : INetworkEnd, IDisposable
{
    /// <summary>Plugs the guest in; called once, before the first frame. After <see cref="IDisposable.Dispose"/> nothing is sent to it any more.</summary>
    void Connect(INetworkEnd guest);

    /// <summary>Forgets what has come so far: it was for a guest that isn't here yet. Before <see cref="Connect"/>.</summary>
    void Discard()
    {
    }

    /// <summary>
    /// Gives the guest's end what has come for it so far, or as much of that as it takes, before this returns: the guest goes elsewhere, and what isn't given to it by then is lost. Where
    /// frames don't wait here there is nothing to do.
    /// </summary>
    void Settle()
    {
    }
}
