namespace Dbt.Devices;

/// <summary>
/// A granted page in use by a back end, without an object of its own: what <see cref="IFrontend.TryPinGrant"/> took and
/// <see cref="IFrontend.Unpin"/> gives back, exactly once.
/// </summary>
/// <param name="host">Host address of the page's first byte; the guest changes its contents at will.</param>
/// <param name="reference">The grant.</param>
/// <param name="writable">Whether it may be written.</param>
internal readonly unsafe struct PinnedGrant(byte* host, uint reference, bool writable)
{
    /// <summary>Host address of the page's first byte.</summary>
    public byte* Host { get; } = host;

    /// <summary>The grant.</summary>
    public uint Reference { get; } = reference;

    /// <summary>Whether the page may be written.</summary>
    public bool Writable { get; } = writable;
}
