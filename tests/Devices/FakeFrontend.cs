using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using Dbt.Devices;
using Dbt.Runtime;

namespace Dbt.Tests.Devices;

/// <summary>A page of plain memory in a guest's place; counts how often it was mapped and given up.</summary>
internal sealed unsafe class FakePage : ISharedPage
{
    private readonly byte* _memory = (byte*)NativeMemory.AlignedAlloc(4096, 4096);

    public FakePage() => new Span<byte>(_memory, 4096).Clear();

    ~FakePage() => NativeMemory.AlignedFree(_memory);

    public byte* Host => _memory;

    public Span<byte> Bytes => new(_memory, 4096);

    public List<(int Offset, int Length)> Written { get; } = [];

    public uint this[int offset]
    {
        get => Volatile.Read(ref *(uint*)(_memory + offset));
        set => Volatile.Write(ref *(uint*)(_memory + offset), value);
    }

    public void MarkWritten(int offset, int length)
    {
        Assert.InRange(offset, 0, 4095);
        Assert.InRange(length, 0, 4096 - offset);
    }

    public void Dispose()
    {
    }
}

/// <summary>A guest made of plain memory: pages under grant references, ports that may be connected.</summary>
internal sealed unsafe class FakeFrontend : IFrontend
{
    private readonly List<(uint Reference, bool Writable, ISharedPage Page)> _pins = [];
    private int _mapped;

    public ushort DomainId { get; init; } = 1;

    public GuestLog Log { get; } = new();

    public ConcurrentDictionary<uint, FakePage> Grants { get; } = [];

    public HashSet<uint> ReadOnlyGrants { get; } = [];

    public HashSet<uint> Ports { get; } = [];

    /// <summary>Wakes the back end that is connected to a port, as the guest's event does.</summary>
    public ConcurrentDictionary<uint, Action> Signals { get; } = [];

    /// <summary>Released for each event that the guest gets.</summary>
    public SemaphoreSlim Events { get; } = new(0);

    /// <summary>Mappings that weren't given up yet.</summary>
    public int Mapped => Volatile.Read(ref _mapped);

    public FakePage Grant(uint reference)
    {
        var page = new FakePage();
        Assert.True(Grants.TryAdd(reference, page));
        return page;
    }

    public bool TryMapGrant(uint reference, bool writable, [NotNullWhen(true)] out ISharedPage? page)
    {
        page = null;
        if (!Grants.TryGetValue(reference, out FakePage? granted) || (writable && ReadOnlyGrants.Contains(reference)))
        {
            return false;
        }

        Interlocked.Increment(ref _mapped);
        page = new Mapping(this, granted, writable);
        return true;
    }

    public bool TryPinGrant(uint reference, bool writable, out PinnedGrant page)
    {
        bool mapped = TryMapGrant(reference, writable, out ISharedPage? mapping);
        page = mapped ? new PinnedGrant(mapping!.Host, reference, writable) : default;
        if (mapped)
        {
            lock (_pins)
            {
                _pins.Add((reference, writable, mapping!));
            }
        }

        return mapped;
    }

    public void Unpin(in PinnedGrant page)
    {
        (uint reference, bool writable) = (page.Reference, page.Writable);
        lock (_pins)
        {
            int index = _pins.FindIndex(pin => pin.Reference == reference && pin.Writable == writable);
            Assert.True(index >= 0, "given up once too often");
            _pins[index].Page.Dispose();
            _pins.RemoveAt(index);
        }
    }

    public void MarkWritten(byte* host, int length)
    {
        lock (_pins)
        {
            ISharedPage page = _pins.Find(pin => host >= pin.Page.Host && host < pin.Page.Host + 4096 && pin.Writable).Page;
            Assert.NotNull(page);
            page.MarkWritten((int)(host - page.Host), length);
        }
    }

    public bool TryConnect(uint port, Action onSignal, [NotNullWhen(true)] out IEventLink? link)
    {
        link = Ports.Contains(port) && Signals.TryAdd(port, onSignal) ? new Link(this, port) : null;
        return link is not null;
    }

    private sealed class Mapping(FakeFrontend owner, FakePage page, bool writable) : ISharedPage
    {
        private bool _disposed;

        public byte* Host => _disposed ? throw new InvalidOperationException("used after it was given up") : page.Host;

        public void MarkWritten(int offset, int length)
        {
            Assert.True(writable, "a page that was mapped read-only was written");
            page.MarkWritten(offset, length);
            page.Written.Add((offset, length));
        }

        public void Dispose()
        {
            Assert.False(_disposed, "given up twice");
            _disposed = true;
            Interlocked.Decrement(ref owner._mapped);
        }
    }

    private sealed class Link(FakeFrontend owner, uint port) : IEventLink
    {
        public void Notify() => owner.Events.Release();

        public void Dispose() => owner.Signals.TryRemove(port, out _);
    }
}
