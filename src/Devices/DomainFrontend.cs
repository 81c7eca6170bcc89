using System.Diagnostics.CodeAnalysis;
using Dbt.Runtime;
using Dbt.Xen;
using Dbt.Xen.Events;
using Dbt.Xen.Grants;
using Dbt.Xen.Memory;

namespace Dbt.Devices;

/// <summary><see cref="IFrontend"/> of a real domain.</summary>
internal sealed class DomainFrontend(Domain domain) : IFrontend
{
    /// <inheritdoc/>
    public ushort DomainId => domain.Id;

    /// <inheritdoc/>
    public GuestLog Log => domain.Log;

    /// <inheritdoc/>
    public bool TryMapGrant(uint reference, bool writable, [NotNullWhen(true)] out ISharedPage? page)
    {
        page = domain.Grants.TryMapForBackend(reference, writable, out GrantedPage? granted) ? new Granted(granted) : null;
        return page is not null;
    }

    /// <inheritdoc/>
    public unsafe bool TryPinGrant(uint reference, bool writable, out PinnedGrant page)
    {
        bool pinned = domain.Grants.TryPinForBackend(reference, writable, out uint mfn);
        page = pinned ? new PinnedGrant(domain.Hypervisor.Machine.Frame(mfn), reference, writable) : default;
        return pinned;
    }

    /// <inheritdoc/>
    public void Unpin(in PinnedGrant page) => domain.Grants.UnpinForBackend(page.Reference, page.Writable);

    /// <inheritdoc/>
    public unsafe void MarkWritten(byte* host, int length) => domain.Hypervisor.Machine.CodeMap.Written(host, length);

    /// <inheritdoc/>
    public bool TryConnect(uint port, Action onSignal, [NotNullWhen(true)] out IEventLink? link)
    {
        link = domain.Events.TryConnectBackend(port, onSignal, out BackendChannel channel) ? new Link(channel) : null;
        return link is not null;
    }

    /// <summary>
    /// A page that the builder made for a ring (console, xenstore). Held while in use: the guest can neither give it back, so that another
    /// domain would get it, nor make a page table of it.
    /// </summary>
    /// <exception cref="InvalidOperationException">The frame isn't a plain page of the domain.</exception>
    public ISharedPage MapFrame(uint mfn) => domain.Memory.TryGetPageAndType(mfn, PageType.Writable)
        ? new Frame(domain, mfn)
        : throw new InvalidOperationException($"frame {mfn:X} is no page for a ring");

    private sealed unsafe class Granted(GrantedPage page) : ISharedPage
    {
        public byte* Host => page.Host;

        public void MarkWritten(int offset, int length) => page.MarkWritten(offset, length);

        public void Dispose() => page.Dispose();
    }

    private sealed unsafe class Frame(Domain domain, uint mfn) : ISharedPage
    {
        public byte* Host { get; } = domain.Hypervisor.Machine.Frame(mfn);

        public void MarkWritten(int offset, int length) => domain.Hypervisor.Machine.CodeMap.Written(Host + offset, length);

        public void Dispose() => domain.Memory.PutPageAndType(mfn);
    }

    private sealed class Link(BackendChannel channel) : IEventLink
    {
        public void Notify() => channel.Notify();

        public void Dispose() => channel.Dispose();
    }
}
