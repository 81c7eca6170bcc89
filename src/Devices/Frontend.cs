using System.Diagnostics.CodeAnalysis;
using Dbt.Runtime;

namespace Dbt.Devices;

/// <summary>A page that a guest and a back end share. The guest changes it at will: fetch once, check, use.</summary>
internal unsafe interface ISharedPage : IDisposable
{
    /// <summary>Host address of the page's first byte.</summary>
    byte* Host { get; }

    /// <summary>Tells that bytes were changed, so that translated code of them is dropped.</summary>
    void MarkWritten(int offset, int length);
}

/// <summary>A back end's end of an event channel.</summary>
internal interface IEventLink : IDisposable
{
    /// <summary>Sends an event to the guest. Any thread.</summary>
    void Notify();
}

/// <summary>What a back end needs of the guest it serves. Tests drive back ends with plain memory through it.</summary>
internal interface IFrontend
{
    /// <summary>The guest's domain id.</summary>
    ushort DomainId { get; }

    /// <summary>Where a guest's misbehaviour is told.</summary>
    GuestLog Log { get; }

    /// <summary>Maps a granted page. False where the grant doesn't permit it.</summary>
    bool TryMapGrant(uint reference, bool writable, [NotNullWhen(true)] out ISharedPage? page);

    /// <summary>
    /// Takes a granted page into use, for what comes so often that no object should be made for it. False where the grant doesn't permit it.
    /// Any thread.
    /// </summary>
    bool TryPinGrant(uint reference, bool writable, out PinnedGrant page);

    /// <summary>Gives back what <see cref="TryPinGrant"/> took. Any thread.</summary>
    void Unpin(in PinnedGrant page);

    /// <summary>Tells that bytes of a pinned page were changed, so that translated code of them is dropped. Any thread.</summary>
    unsafe void MarkWritten(byte* host, int length);

    /// <summary>Connects to an unbound port of the guest. <paramref name="onSignal"/> may only wake a thread.</summary>
    bool TryConnect(uint port, Action onSignal, [NotNullWhen(true)] out IEventLink? link);
}
