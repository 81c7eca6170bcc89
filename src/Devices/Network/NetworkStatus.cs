namespace Dbt.Devices.Network;

/// <summary>What there is to tell of a card, as <c>xl network-list</c> does.</summary>
/// <param name="Card">As configured.</param>
/// <param name="State">Of the back end: a number of public/io/xenbus.h, 4 for connected.</param>
/// <param name="EventChannel">The guest's port, its first queue's transmit port; null while not connected.</param>
/// <param name="TransmitRing">Grant reference of the first queue's ring; null while not connected.</param>
/// <param name="ReceiveRing">The same of its receive ring.</param>
/// <param name="BackendPath">The back end's folder in xenstore.</param>
/// <param name="Traffic">What went through since it was attached.</param>
public sealed record NetworkStatus(
    NetworkConfiguration Card, int State, uint? EventChannel, uint? TransmitRing, uint? ReceiveRing, string BackendPath, NetworkTraffic Traffic)
{
    /// <summary>The domain that serves it; 0 for this process.</summary>
    public ushort BackendId { get; init; }
}

/// <summary>Counts of a card, as its guest sees them: transmitted is what the guest sent.</summary>
/// <param name="TransmittedFrames">Frames that the guest sent; one that is yet to be cut counts once.</param>
/// <param name="TransmittedBytes">Their bytes.</param>
/// <param name="TransmitErrors">Frames of the guest that made no sense.</param>
/// <param name="ReceivedFrames">Frames that the guest got.</param>
/// <param name="ReceivedBytes">Their bytes.</param>
/// <param name="ReceiveDrops">Frames for the guest that couldn't be given to it.</param>
public readonly record struct NetworkTraffic(
    long TransmittedFrames, long TransmittedBytes, long TransmitErrors, long ReceivedFrames, long ReceivedBytes, long ReceiveDrops);
