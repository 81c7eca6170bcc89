namespace Dbt.Translator.Emit.Spans;

/// <summary>
/// Finds the accesses of a region that can be checked together: the register that they go by is known to be the same, but for a
/// constant, and a check holds for as long as the region is not left. The software TLB changes only when it is.
/// </summary>
internal sealed class SpanPlan
{
    // An object that lies across two pages leaves the region; long ones more often.
    private const int MostBytes = 128, MostStackBytes = 1024;

    private readonly Dictionary<GuestBlock, SymbolicRegisters> _entry = [];
    private readonly Dictionary<GuestBlock, List<Span>> _spans = [];
    private readonly Dictionary<GuestBlock, GuestBlock?> _dominator = [];
    private readonly List<GuestAccess> _accesses = [];
    private readonly bool _windowed;

    /// <param name="region">Blocks are in reverse post-order.</param>
    public SpanPlan(Region region)
    {
        _windowed = region.IsWindowed;
        GuestBlock?[] dominators = Dominators.Of(region);
        for (int i = 0; i < region.Blocks.Count; i++)
        {
            _dominator[region.Blocks[i]] = dominators[i];
        }

        Propagate(region);
        foreach (GuestBlock block in region.Blocks)
        {
            Collect(block);
        }
    }

    /// <summary>What the registers hold where a block begins.</summary>
    public SymbolicRegisters EntryOf(GuestBlock block) => _entry[block];

    /// <summary>The span that covers an access in a block, whether it has been checked or is to be checked here; null where it is best checked by itself.</summary>
    public Span? Find(GuestBlock block, in SymbolicAddress address, int size, bool write)
    {
        Span? planned = null;
        for (GuestBlock? at = block; at is not null; at = _dominator[at])
        {
            foreach (Span span in _spans[at])
            {
                if (span.Covers(address, size, write))
                {
                    if (span.Host is not null)
                    {
                        return span;
                    }

                    planned ??= at == block && span.Accesses > 1 ? span : null;
                }
            }
        }

        return planned;
    }

    private void Propagate(Region region)
    {
        foreach (GuestBlock block in region.Blocks)
        {
            var registers = new SymbolicRegisters();
            _entry.Add(block, registers);
            for (int register = 0; register < 8; register++)
            {
                // Where only one way is known yet it is as that leaves it; what differs later becomes a name of its own and stays one.
                registers[register] = block.IsEntry || block.IsIndirectTarget ? SymbolicValue.AtBlock(block.Start, register) : default;
            }
        }

        var exit = new Dictionary<GuestBlock, SymbolicRegisters>();
        bool changed;
        do
        {
            changed = false;
            foreach (GuestBlock block in region.Blocks)
            {
                if (!MeetInto(block, exit) && exit.ContainsKey(block))
                {
                    continue;
                }

                changed = true;
                if (!exit.TryGetValue(block, out SymbolicRegisters? registers))
                {
                    exit.Add(block, registers = new SymbolicRegisters());
                }

                registers.CopyFrom(_entry[block]);
                foreach (ref readonly Iced.Intel.Instruction instruction in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(block.Instructions))
                {
                    registers.Step(instruction);
                }
            }
        }
        while (changed);
    }

    private bool MeetInto(GuestBlock block, Dictionary<GuestBlock, SymbolicRegisters> exit)
    {
        if (block.IsEntry || block.IsIndirectTarget)
        {
            return false;
        }

        SymbolicRegisters entry = _entry[block];
        bool changed = false;
        for (int register = 0; register < 8; register++)
        {
            SymbolicValue own = SymbolicValue.AtBlock(block.Start, register);
            if (entry[register] == own)
            {
                continue;
            }

            SymbolicValue met = default;
            foreach (GuestBlock before in block.Predecessors)
            {
                if (exit.TryGetValue(before, out SymbolicRegisters? left))
                {
                    met = met == default || met == left[register] ? left[register] : own;
                }
            }

            met = met == default ? own : met;
            changed |= met != entry[register];
            entry[register] = met;
        }

        return changed;
    }

    private void Collect(GuestBlock block)
    {
        var spans = new List<Span>();
        _spans.Add(block, spans);
        var registers = new SymbolicRegisters();
        registers.CopyFrom(_entry[block]);
        foreach (ref readonly Iced.Intel.Instruction instruction in System.Runtime.InteropServices.CollectionsMarshal.AsSpan(block.Instructions))
        {
            GuestAccess.Collect(instruction, _accesses, _windowed);
            foreach (GuestAccess access in _accesses)
            {
                SymbolicAddress address = SymbolicAddress.Of(registers, access.Site);
                if (address.IsKnown && address.Offset + access.Size > 4096)
                {
                    // Of a known page nothing is looked at but its entry.
                    continue;
                }

                if (!TakenInAbove(block, address, access) && !TakenIn(spans, address, access, sameBlock: true))
                {
                    spans.Add(new Span(address, access.Size, access.Write));
                }
            }

            registers.Step(instruction);
        }
    }

    /// <summary>A function's frame is checked once for all of it, where it is first used.</summary>
    private bool TakenInAbove(GuestBlock block, in SymbolicAddress address, in GuestAccess access)
    {
        bool taken = false;
        for (GuestBlock? at = _dominator[block]; at is not null && !taken; at = _dominator[at])
        {
            foreach (Span span in _spans[at])
            {
                if (span.Covers(address, access.Size, access.Write))
                {
                    return span.TryAdd(address, access.Size, access.Write, int.MaxValue);
                }
            }

            taken = address.OnStack && TakenIn(_spans[at], address, access, sameBlock: false);
        }

        return taken;
    }

    private static bool TakenIn(List<Span> spans, in SymbolicAddress address, in GuestAccess access, bool sameBlock)
    {
        foreach (Span span in spans)
        {
            // A write that may not come should not keep a page that can't be written from being read; a function's frame is written soon enough.
            if ((sameBlock || span.Write || !access.Write || span.OnStack)
                && span.TryAdd(address, access.Size, access.Write, address.IsKnown ? 4096 : address.OnStack ? MostStackBytes : MostBytes))
            {
                return true;
            }
        }

        return false;
    }
}
