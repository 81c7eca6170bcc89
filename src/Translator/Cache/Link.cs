using System.Runtime.InteropServices;
using Dbt.Translator.Memory;

namespace Dbt.Translator.Cache;

/// <summary>A patchable jump from one translation to another, in native memory. Emitted code reads it at these offsets.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct LinkCell
{
    /// <summary>The function to go to, 0 while unlinked. Offset 0.</summary>
    public nint Function;

    /// <summary>What the execute entry of the target's page must hold for it. Offset 8.</summary>
    public long ExecuteEntry;

    /// <summary>The link's number.</summary>
    public long Number;

    /// <summary>A counter for whoever allocated the cell as one.</summary>
    public long Counter;
}

/// <summary>A direct exit of a translation to an EIP of the same mode.</summary>
/// <param name="pool">Where its cell comes from.</param>
/// <param name="cell">Its cell.</param>
/// <param name="number">Its number.</param>
/// <param name="target">EIP that it leads to.</param>
internal sealed unsafe class Link(LinkPool pool, LinkCell* cell, int number, uint target)
{
    /// <summary>EIP that it leads to.</summary>
    public uint Target { get; } = target;

    /// <summary>Its number in the pool.</summary>
    public int Number { get; } = number;

    /// <summary>Address of its cell.</summary>
    public nint Address => (nint)cell;

    /// <summary>The block that it is linked to.</summary>
    public CodeBlock? To { get; private set; }

    /// <summary>Leads to a block's present function from now on, and follows it when that changes.</summary>
    public void Connect(CodeBlock block)
    {
        Disconnect();
        To = block;
        block.Incoming.Add(this);
        cell->ExecuteEntry = block.ExecuteEntry;
        cell->Function = block.Function;
    }

    /// <summary>Takes over the block's function; 0 makes the link unlinked.</summary>
    public void Update(nint function) => cell->Function = function;

    /// <summary>Leads nowhere from now on.</summary>
    public void Disconnect()
    {
        cell->Function = 0;
        To?.Incoming.Remove(this);
        To = null;
    }

    /// <summary>Ends the link; its translation can no longer run.</summary>
    public void Free()
    {
        Disconnect();
        pool.Free(this);
    }
}

/// <summary>Allocates link cells. Allocation is thread-safe, because background compilation makes links too.</summary>
internal sealed unsafe class LinkPool : IDisposable
{
    private const int CellsPerSlab = 8192;

    private readonly Lock _lock = new();
    private readonly List<nint> _slabs = [];
    private readonly Stack<int> _free = new();
    private readonly List<Link?> _links = [];

    /// <summary>The link of a cell, from <see cref="State.CpuState.ExitInfo"/>.</summary>
    public Link? Find(nint cell)
    {
        lock (_lock)
        {
            return _links[(int)((LinkCell*)cell)->Number];
        }
    }

    /// <summary>A link, unlinked.</summary>
    public Link Add(uint target)
    {
        lock (_lock)
        {
            int number = Take();
            LinkCell* cell = Cell(number);
            *cell = new LinkCell { Number = number };
            var link = new Link(this, cell, number, target);
            _links[number] = link;
            return link;
        }
    }

    /// <summary>A cell of which only the counter is used.</summary>
    public int AddCounter(int value, out nint address)
    {
        lock (_lock)
        {
            int number = Take();
            LinkCell* cell = Cell(number);
            *cell = new LinkCell { Number = number, Counter = value };
            address = (nint)(&cell->Counter);
            return number;
        }
    }

    /// <summary>Gives a counter's cell back.</summary>
    public void FreeCounter(int number)
    {
        lock (_lock)
        {
            _free.Push(number);
        }
    }

    /// <summary>Gives a link's cell back.</summary>
    public void Free(Link link)
    {
        lock (_lock)
        {
            if (_links[link.Number] == link)
            {
                _links[link.Number] = null;
                _free.Push(link.Number);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (nint slab in _slabs)
        {
            HostMemory.Release((byte*)slab, (nuint)(CellsPerSlab * sizeof(LinkCell)));
        }

        _slabs.Clear();
    }

    private int Take()
    {
        if (_free.TryPop(out int number))
        {
            return number;
        }

        number = _links.Count;
        _links.Add(null);
        if (number / CellsPerSlab == _slabs.Count)
        {
            _slabs.Add((nint)HostMemory.Reserve((nuint)(CellsPerSlab * sizeof(LinkCell))));
        }

        return number;
    }

    private LinkCell* Cell(int number) => (LinkCell*)_slabs[number / CellsPerSlab] + (number % CellsPerSlab);
}
