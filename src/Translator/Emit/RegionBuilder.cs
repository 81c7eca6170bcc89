using Dbt.Translator.Emit.Routines;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// Finds and decodes what is translated together: from an entry along direct branches, calls and the code behind calls.
/// Works on the processor's thread; what it returns no longer refers to guest memory.
/// </summary>
internal sealed unsafe class RegionBuilder
{
    /// <summary>Guest instructions in a block of its own at most.</summary>
    public const int MaxBlockInstructions = 64;

    private const int MaxPages = 12;
    private const int MaxReturnSites = 8;
    private const int MaxEntries = 24;
    private const int MaxCallEntries = 8;

    // A kernel's functions are called from everywhere, and left for what isn't translated. Loops that an entry would spoil are a program's.
    private const int MaxKernelEntries = 24;

    private readonly bool _nativeFloatingPoint;
    private readonly GuestCodeReader _reader;
    private readonly Decoder _decoder;
    private readonly Dictionary<uint, Instruction> _instructions = [];
    private readonly Dictionary<uint, int> _places = [];
    private readonly List<byte> _bytes = [];

    /// <param name="cpu">The processor.</param>
    /// <param name="protect">Makes writes to the page at a host address noticed; called before its bytes are read.</param>
    /// <param name="nativeFloatingPoint">Whether floating-point and SIMD instructions are translated to the host's own.</param>
    public RegionBuilder(CpuState* cpu, Action<nint> protect, bool nativeFloatingPoint)
    {
        _nativeFloatingPoint = nativeFloatingPoint;
        _reader = new GuestCodeReader(cpu, protect);
        _decoder = Decoder.Create(32, _reader);
    }

    /// <summary>A single block.</summary>
    /// <returns>Null where the first instruction cannot be translated.</returns>
    public Region? BuildBlock(uint entry, CpuMode mode) => Build(entry, mode, MaxBlockInstructions, single: true, (_, _) => false, _ => []);

    /// <summary>A region of several blocks.</summary>
    /// <param name="entry">EIP of the entry; its page is executable.</param>
    /// <param name="mode">The processor's mode.</param>
    /// <param name="maxInstructions">Instructions at most.</param>
    /// <param name="follow">Whether a branch's or (true) call's target is worth taking in.</param>
    /// <param name="targetsOf">Where the computed jump at an EIP went.</param>
    /// <returns>Null where the first instruction cannot be translated.</returns>
    public Region? BuildRegion(uint entry, CpuMode mode, int maxInstructions, Func<uint, bool, bool> follow, Func<uint, List<uint>> targetsOf) =>
        Build(entry, mode, maxInstructions, single: false, follow, targetsOf);

    /// <summary>How many instructions from <paramref name="entry"/> on are not translated; at least 1.</summary>
    public int CountUntranslatable(uint entry, CpuMode mode)
    {
        var region = new Region(entry, mode & ~CpuMode.Apart, _nativeFloatingPoint) { IsApart = (mode & CpuMode.Apart) != 0 };
        _reader.Reset();
        uint address = entry;
        for (int count = 0; count < MaxBlockInstructions; count++)
        {
            _reader.Position = address;
            _decoder.IP = address;
            _decoder.Decode(out Instruction instruction);
            if (instruction.IsInvalid || instruction.FlowControl != FlowControl.Next || Translatable.Routine(instruction, region) is not null)
            {
                return Math.Max(1, count);
            }

            address = (uint)instruction.NextIP;
        }

        return MaxBlockInstructions;
    }

    private Region? Build(uint entry, CpuMode mode, int maxInstructions, bool single, Func<uint, bool, bool> follow, Func<uint, List<uint>> targetsOf)
    {
        var region = new Region(entry, mode & ~CpuMode.Apart, _nativeFloatingPoint) { IsApart = (mode & CpuMode.Apart) != 0 };
        _reader.Reset();
        _instructions.Clear();
        _places.Clear();
        _bytes.Clear();
        var leaders = new HashSet<uint> { entry };
        var calls = new List<(uint Target, uint Behind)>();
        var resumed = new List<uint>();
        var jumps = new List<(uint Jump, List<uint> Targets)>();
        var work = new Queue<uint>();
        work.Enqueue(entry);
        while (work.TryDequeue(out uint address))
        {
            DecodeRun(region, address, maxInstructions, single, follow, leaders, calls, resumed, work);
            if (TryFindJump(address, leaders, out uint jump) && !jumps.Exists(known => known.Jump == jump))
            {
                List<uint> targets = targetsOf(jump);
                jumps.Add((jump, targets));
                foreach (uint target in targets)
                {
                    if (follow(target, false) && leaders.Add(target))
                    {
                        work.Enqueue(target);
                    }
                }
            }
        }

        if (!_instructions.TryGetValue(entry, out Instruction first) || Translatable.Routine(first, region) is null)
        {
            return null;
        }

        FormBlocks(region, leaders);
        Connect(region);
        MarkEntries(region, calls, resumed, jumps);
        Order(region);
        foreach (GuestBlock block in region.Blocks)
        {
            AddPage(block.Start >> 12);
            AddPage((block.End - 1) >> 12);
        }

        return region;

        void AddPage(uint page) => region.Pages.TryAdd(page, _reader.Pages[page]);
    }

    private void DecodeRun(
        Region region, uint address, int maxInstructions, bool single, Func<uint, bool, bool> follow,
        HashSet<uint> leaders, List<(uint Target, uint Behind)> calls, List<uint> resumed, Queue<uint> work)
    {
        while (_instructions.Count < maxInstructions && !_instructions.ContainsKey(address))
        {
            if (_reader.Pages.Count >= MaxPages && !_reader.Pages.ContainsKey(address >> 12))
            {
                return;
            }

            _reader.Position = address;
            _decoder.IP = address;
            _decoder.Decode(out Instruction instruction);
            if (instruction.IsInvalid || instruction.Length == 0)
            {
                return;
            }

            _instructions.Add(address, instruction);
            _places.Add(address, _bytes.Count);
            _bytes.AddRange(_reader.Bytes);
            region.NoteX87(instruction, _reader.Bytes);

            uint next = (uint)instruction.NextIP;
            if (Translatable.Routine(instruction, region) is null)
            {
                if (!single && instruction.FlowControl == FlowControl.Next)
                {
                    resumed.Add(next);
                    Take(next);
                }

                return;
            }

            switch (instruction.FlowControl)
            {
                case FlowControl.Next when EmitSegments.EndsBlock(instruction):
                    return;
                case FlowControl.Next:
                    address = next;
                    continue;
                case FlowControl.ConditionalBranch:
                    Take(instruction.NearBranch32);
                    Take(next);
                    return;
                case FlowControl.UnconditionalBranch:
                    Take(instruction.NearBranch32);
                    return;
                case FlowControl.Call:
                    calls.Add((instruction.NearBranch32, next));
                    Take(next);
                    Take(instruction.NearBranch32, isCall: true);
                    return;
                case FlowControl.IndirectCall:
                    calls.Add((0, next));
                    Take(next);
                    return;
                default:
                    return;
            }
        }

        void Take(uint target, bool isCall = false)
        {
            if (!single && follow(target, isCall) && leaders.Add(target))
            {
                work.Enqueue(target);
            }
        }
    }

    /// <summary>The computed jump that ends the run of instructions from an address on.</summary>
    private bool TryFindJump(uint address, HashSet<uint> leaders, out uint jump)
    {
        jump = address;
        while (_instructions.TryGetValue(jump, out Instruction instruction))
        {
            if (instruction.FlowControl != FlowControl.Next)
            {
                return instruction.FlowControl == FlowControl.IndirectBranch;
            }

            jump = (uint)instruction.NextIP;
            if (leaders.Contains(jump))
            {
                return false;
            }
        }

        return false;
    }

    private void FormBlocks(Region region, HashSet<uint> leaders)
    {
        foreach (uint leader in leaders)
        {
            if (!_instructions.ContainsKey(leader))
            {
                continue;
            }

            var block = new GuestBlock(leader);
            uint address = leader;
            while (_instructions.TryGetValue(address, out Instruction instruction))
            {
                block.Instructions.Add(instruction);
                address = (uint)instruction.NextIP;
                if (instruction.FlowControl != FlowControl.Next || EmitSegments.EndsBlock(instruction) || leaders.Contains(address) || Translatable.Routine(instruction, region) is null)
                {
                    break;
                }
            }

            block.End = address;
            block.Bytes = [.. block.Instructions.SelectMany(instruction => _bytes.GetRange(_places[instruction.IP32], instruction.Length))];
            region.ByStart.Add(leader, block);
            region.InstructionCount += block.Instructions.Count;
        }
    }

    /// <summary>Fills in which block goes on to which.</summary>
    public static void Connect(Region region)
    {
        foreach (GuestBlock block in region.ByStart.Values)
        {
            Instruction last = block.Instructions[^1];
            if (Translatable.Routine(last, region) is null || EmitSegments.EndsBlock(last))
            {
                block.LeavesRegion = true;
                continue;
            }

            switch (last.FlowControl)
            {
                case FlowControl.Next:
                    Edge(block, block.End);
                    break;
                case FlowControl.ConditionalBranch:
                    Edge(block, block.End);
                    Edge(block, last.NearBranch32);
                    break;
                case FlowControl.UnconditionalBranch or FlowControl.Call:
                    Edge(block, last.NearBranch32);
                    break;
                default:
                    block.LeavesRegion = true;
                    break;
            }
        }

        void Edge(GuestBlock from, uint to)
        {
            if (!region.ByStart.TryGetValue(to, out GuestBlock? target))
            {
                from.LeavesRegion = true;
                return;
            }

            if (!from.Successors.Contains(target))
            {
                from.Successors.Add(target);
                target.Predecessors.Add(from);
            }
        }
    }

    /// <summary>
    /// Behind a call that stays inside, the region's own returns arrive; behind one that leaves, whoever returns enters the region again.
    /// The same holds for what follows an instruction that the interpreter executes. In a kernel all functions and return sites are entered, so
    /// that what was interpreted comes back into translated code at the next call or return.
    /// </summary>
    private static void MarkEntries(
        Region region, List<(uint Target, uint Behind)> calls, List<uint> resumed, List<(uint Jump, List<uint> Targets)> jumps)
    {
        region.ByStart[region.Entry].IsEntry = true;
        int entries = 1;
        foreach ((uint target, uint behind) in calls)
        {
            if (!region.ByStart.TryGetValue(behind, out GuestBlock? block))
            {
                continue;
            }

            if (region.ByStart.ContainsKey(target) && !block.IsIndirectTarget && region.ReturnSites.Count < MaxReturnSites)
            {
                block.IsIndirectTarget = true;
                region.ReturnSites.Add(block);
            }
            else if (!block.IsIndirectTarget && !block.IsEntry && entries < MaxCallEntries)
            {
                block.IsEntry = true;
                entries++;
            }
        }

        foreach (uint address in resumed)
        {
            if (entries < MaxCallEntries && region.ByStart.TryGetValue(address, out GuestBlock? block) && !block.IsEntry)
            {
                block.IsEntry = true;
                entries++;
            }
        }

        if ((region.Mode & CpuMode.User) == 0 && !region.IsApart)
        {
            foreach ((uint target, uint behind) in calls)
            {
                MarkKernelEntry(target);
                MarkKernelEntry(behind);
            }
        }

        // Others jump there too, and need no copy of it then.
        foreach ((uint jump, List<uint> targets) in jumps)
        {
            List<GuestBlock> inside = targets.ConvertAll(target => region.ByStart.GetValueOrDefault(target)!).FindAll(block => block is not null);
            foreach (GuestBlock block in inside)
            {
                if (!block.IsEntry && entries < MaxEntries)
                {
                    block.IsEntry = true;
                    entries++;
                }
            }

            region.JumpTargets[jump] = inside.FindAll(block => block.IsEntry);
        }

        void MarkKernelEntry(uint address)
        {
            if (entries < MaxKernelEntries && region.ByStart.TryGetValue(address, out GuestBlock? block) && !block.IsEntry)
            {
                block.IsEntry = true;
                entries++;
            }
        }
    }

    /// <summary>Reverse post-order from the entries, so that a block with one way in comes after where that leads from.</summary>
    private static void Order(Region region)
    {
        var seen = new HashSet<GuestBlock>();
        var order = new List<GuestBlock>();
        var roots = new List<GuestBlock>(region.ByStart.Values.Where(block => block.Start != region.Entry && (block.IsEntry || block.IsIndirectTarget)))
        {
            region.ByStart[region.Entry],
        };
        foreach (GuestBlock root in roots)
        {
            Visit(root);
        }

        order.Reverse();
        foreach (GuestBlock unreachable in region.ByStart.Values.Where(block => !seen.Contains(block)).ToList())
        {
            // Behind a call whose way back is not known: nothing leads there.
            region.ByStart.Remove(unreachable.Start);
            region.InstructionCount -= unreachable.Instructions.Count;
            foreach (GuestBlock next in unreachable.Successors)
            {
                next.Predecessors.Remove(unreachable);
            }
        }

        region.Blocks.AddRange(order);

        void Visit(GuestBlock root)
        {
            if (!seen.Add(root))
            {
                return;
            }

            var stack = new Stack<(GuestBlock Block, int Next)>();
            stack.Push((root, 0));
            while (stack.TryPop(out (GuestBlock Block, int Next) top))
            {
                if (top.Next == top.Block.Successors.Count)
                {
                    order.Add(top.Block);
                    continue;
                }

                stack.Push((top.Block, top.Next + 1));

                // The fallthrough is the first successor; visited last it comes right behind its predecessor.
                GuestBlock next = top.Block.Successors[top.Block.Successors.Count - 1 - top.Next];
                if (seen.Add(next))
                {
                    stack.Push((next, 0));
                }
            }
        }
    }
}
