namespace Dbt.Devices;

/// <summary>States of the two ends of a device in xenstore (public/io/xenbus.h).</summary>
internal enum XenbusState
{
    Unknown = 0,
    Initialising = 1,
    InitWait = 2,
    Initialised = 3,
    Connected = 4,
    Closing = 5,
    Closed = 6,
    Reconfiguring = 7,
    Reconfigured = 8,
}
