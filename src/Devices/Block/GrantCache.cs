using System.Runtime.InteropServices;

namespace Dbt.Devices.Block;

/// <summary>
/// A queue's grants in use. With persistent grants (public/io/blkif.h, feature-persistent, note 7) a page stays in use after its request, up to a
/// number; the least recently used one makes room. Beyond that, and without the feature, a page is in use for its request alone. Thread-safe.
/// </summary>
/// <param name="frontend">The guest.</param>
/// <param name="capacity">Grants to keep; 0 where the frontend doesn't reuse them.</param>
internal sealed class GrantCache(IFrontend frontend, int capacity) : IDisposable
{
    private const int None = -1;
    private readonly Lock _lock = new();
    private readonly Dictionary<uint, int> _slots = [];
    private readonly List<Slot> _kept = [];

    // Ends of the list through Newer and Older.
    private int _oldest = None, _newest = None;

    /// <summary>Grants that are kept now.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _slots.Count;
            }
        }
    }

    /// <summary>Takes a page into use for one request.</summary>
    /// <param name="reference">Any number, as given.</param>
    /// <param name="writable">To write as well.</param>
    /// <param name="use">The page; <see cref="Release"/> has to follow.</param>
    /// <returns>False where the grant doesn't permit it.</returns>
    public bool TryUse(uint reference, bool writable, out Use use)
    {
        if (capacity == 0)
        {
            return TryUseOnce(reference, writable, out use);
        }

        lock (_lock)
        {
            if (_slots.TryGetValue(reference, out int slot))
            {
                ref Slot kept = ref At(slot);
                kept.Users++;
                Unlink(slot);
                LinkNewest(slot);
                use = new Use(kept.Page, slot);
                return true;
            }

            // A grant that is kept serves reads and writes alike (note 8). One that is read-only doesn't stay.
            if (!frontend.TryPinGrant(reference, writable: true, out PinnedGrant page))
            {
                return TryUseOnce(reference, writable, out use);
            }

            slot = FindRoom();
            if (slot != None)
            {
                At(slot) = new Slot { Page = page, Users = 1 };
                _slots.Add(reference, slot);
                LinkNewest(slot);
            }

            use = new Use(page, slot);
            return true;
        }
    }

    /// <summary>Ends what <see cref="TryUse"/> began.</summary>
    public void Release(in Use use)
    {
        if (use.Slot == None)
        {
            frontend.Unpin(use.Page);
            return;
        }

        lock (_lock)
        {
            At(use.Slot).Users--;
        }
    }

    /// <summary>Lets go of all grants; none may be in use by a request.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            foreach (int slot in _slots.Values)
            {
                frontend.Unpin(At(slot).Page);
            }

            _slots.Clear();
            _kept.Clear();
            _oldest = _newest = None;
        }
    }

    private bool TryUseOnce(uint reference, bool writable, out Use use)
    {
        bool pinned = frontend.TryPinGrant(reference, writable, out PinnedGrant page);
        use = new Use(page, None);
        return pinned;
    }

    // A slot for one more grant, or none where all are in use.
    private int FindRoom()
    {
        if (_kept.Count < capacity)
        {
            _kept.Add(default);
            return _kept.Count - 1;
        }

        int slot = _oldest;
        while (slot != None && At(slot).Users > 0)
        {
            slot = At(slot).Newer;
        }

        if (slot != None)
        {
            Unlink(slot);
            _slots.Remove(At(slot).Page.Reference);
            frontend.Unpin(At(slot).Page);
        }

        return slot;
    }

    private ref Slot At(int slot) => ref CollectionsMarshal.AsSpan(_kept)[slot];

    private void LinkNewest(int slot)
    {
        ref Slot linked = ref At(slot);
        linked.Older = _newest;
        linked.Newer = None;
        if (_newest == None)
        {
            _oldest = slot;
        }
        else
        {
            At(_newest).Newer = slot;
        }

        _newest = slot;
    }

    private void Unlink(int slot)
    {
        Slot linked = At(slot);
        if (linked.Older == None)
        {
            _oldest = linked.Newer;
        }
        else
        {
            At(linked.Older).Newer = linked.Newer;
        }

        if (linked.Newer == None)
        {
            _newest = linked.Older;
        }
        else
        {
            At(linked.Newer).Older = linked.Older;
        }
    }

    /// <summary>A page that a request uses.</summary>
    /// <param name="Page">The page.</param>
    /// <param name="Slot">Where it is kept; -1 where it isn't.</param>
    public readonly record struct Use(PinnedGrant Page, int Slot);

    private struct Slot
    {
        public PinnedGrant Page;
        public int Users, Older, Newer;
    }
}
