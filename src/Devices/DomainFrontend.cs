using System.Diagnostics.CodeAnalysis;
using Dbt.Runtime;
using Dbt.Xen;
using Dbt.Xen.Events;
using Dbt.Xen.Grants;

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
    public bool TryConnect(uint port, Action onSignal, [NotNullWhen(true)] out IEventLink? link)
    {
        link = domain.Events.TryConnectBackend(port, onSignal, out BackendChannel channel) ? new Link(channel) : null;
        return link is not null;
    }

    /// <summary>A page that the builder made for a ring (console, xenstore).</summary>
    public ISharedPage MapFrame(uint mfn) => new Frame(domain, mfn);

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

        public void Dispose()
        {
        }
    }

    private sealed class Link(BackendChannel channel) : IEventLink
    {
        public void Notify() => channel.Notify();

        public void Dispose() => channel.Dispose();
    }
}
