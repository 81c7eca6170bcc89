using System.Diagnostics.CodeAnalysis;

namespace Dbt.Xen.Grants;

/// <summary>A domain's grant table, version 1.</summary>
public sealed class GrantTable
{
    internal GrantTable(Domain domain) => Domain = domain;

    /// <summary>The owner.</summary>
    public Domain Domain { get; }

    /// <summary>Maps a page that the guest granted to domain 0 into this process, marking the grant in use.</summary>
    /// <returns>False where the grant doesn't permit it.</returns>
    public bool TryMapForBackend(uint reference, bool writable, [NotNullWhen(true)] out GrantedPage? page) => throw new NotImplementedException();
}

/// <summary>A granted page mapped by a backend; dispose to give it up, exactly once.</summary>
public sealed unsafe class GrantedPage : IDisposable
{
    /// <summary>Host address of the page's first byte. Contents are shared with the guest: fetch once, check, use.</summary>
    public byte* Host { get; internal init; }

    /// <summary>Whether it may be written.</summary>
    public bool Writable { get; internal init; }

    /// <summary>Tells that bytes of a writable page were changed, so that translated code of them is dropped.</summary>
    public void MarkWritten(int offset, int length) => throw new NotImplementedException();

    /// <inheritdoc/>
    public void Dispose() => throw new NotImplementedException();
}
