using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>The blocks of a function's machine code, and the ways between them.</summary>
internal sealed class MachineFlow
{
    private readonly SortedDictionary<ulong, Instruction> _instructions;
    private readonly WindowAccesses? _accesses;
    private readonly Dictionary<ulong, byte[]> _replaced;
    private readonly Dictionary<ulong, MachineBlock> _starts = [];

    /// <summary>Finds them.</summary>
    /// <param name="instructions">The function's instructions by their offsets, the first one at 0.</param>
    /// <param name="accesses">What is left out or changed; null for nothing.</param>
    /// <param name="replaced">What stands in an instruction's place.</param>
    public MachineFlow(SortedDictionary<ulong, Instruction> instructions, WindowAccesses? accesses, Dictionary<ulong, byte[]> replaced)
    {
        _replaced = replaced;
        _instructions = instructions;
        _accesses = accesses;
        FindStarts();
        Fill();
        foreach (MachineBlock block in Blocks)
        {
            block.Branch = block.Branch?.Goal();
            block.Next = block.Next?.Goal();
        }

        FindHot();
    }

    /// <summary>All blocks, in the order of their offsets.</summary>
    public List<MachineBlock> Blocks { get; } = [];

    /// <summary>The block that starts at an offset.</summary>
    public MachineBlock BlockAt(ulong offset) => _starts[offset];

    /// <summary>Bytes of an instruction, or of what stands in its place.</summary>
    public int LengthOf(in Instruction instruction) => _replaced.TryGetValue(instruction.IP, out byte[]? replaced) ? replaced.Length : instruction.Length;

    private void FindStarts()
    {
        var starts = new HashSet<ulong> { 0 };
        if (_accesses is not null)
        {
            starts.UnionWith(_accesses.Freed.Values);
        }

        foreach (Instruction instruction in _instructions.Values)
        {
            if (instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
            {
                starts.Add(instruction.NearBranchTarget);
            }

            if (Ends(instruction))
            {
                starts.Add(instruction.NextIP);
            }
        }

        foreach (ulong offset in _instructions.Keys.Where(starts.Contains))
        {
            var block = new MachineBlock();
            _starts.Add(offset, block);
            Blocks.Add(block);
        }
    }

    private void Fill()
    {
        MachineBlock block = _starts[0];
        foreach (Instruction instruction in _instructions.Values)
        {
            block = _starts.GetValueOrDefault(instruction.IP, block);
            bool left = _accesses?.Erased.Contains(instruction.IP) == true;
            switch (instruction.FlowControl)
            {
                case FlowControl.UnconditionalBranch:
                    block.Next = _starts[instruction.NearBranchTarget];
                    continue;
                case FlowControl.ConditionalBranch when _accesses?.Always.Contains(instruction.IP) == true:
                    block.Next = _starts[instruction.NearBranchTarget];
                    continue;
                case FlowControl.ConditionalBranch:
                    block.Next = _starts[instruction.NextIP];
                    if (!left)
                    {
                        block.Branch = _starts[instruction.NearBranchTarget];
                        block.Condition = instruction.ConditionCode;
                    }

                    continue;
                case FlowControl.IndirectBranch or FlowControl.Return:
                    block.Add(instruction, LengthOf(instruction));
                    continue;
            }

            // What takes no room doesn't keep a block from being passed over.
            if (!left && LengthOf(instruction) is > 0 and int length)
            {
                block.Add(instruction, length);
            }

            block.Next = _starts.GetValueOrDefault(instruction.NextIP);
        }
    }

    /// <summary>
    /// Hot is what may be got to from the entry, and leads to a jump out of the function: to linked code. What leads to nothing but a return goes to the dispatcher, which is slow in any case.
    /// </summary>
    private void FindHot()
    {
        HashSet<MachineBlock> reached = Spread([Blocks[0]], static block => new[] { block.Branch, block.Next }.OfType<MachineBlock>());
        ILookup<MachineBlock, MachineBlock> before = Blocks.SelectMany(static block => new[] { block.Branch, block.Next }.OfType<MachineBlock>().Select(to => (to, block)))
            .ToLookup(static way => way.to, static way => way.block);
        HashSet<MachineBlock> leading = Spread(Blocks.Where(static block => block.Body is [.., { FlowControl: FlowControl.IndirectBranch }]), block => before[block]);
        foreach (MachineBlock block in reached)
        {
            block.IsHot = leading.Contains(block);
        }

        // The entry is where the function begins, hot or not.
        Blocks[0].IsHot = true;
    }

    private static HashSet<MachineBlock> Spread(IEnumerable<MachineBlock> from, Func<MachineBlock, IEnumerable<MachineBlock>> ways)
    {
        var found = new HashSet<MachineBlock>();
        var open = new Stack<MachineBlock>(from);
        while (open.TryPop(out MachineBlock? block))
        {
            if (found.Add(block))
            {
                foreach (MachineBlock to in ways(block))
                {
                    open.Push(to);
                }
            }
        }

        return found;
    }

    private static bool Ends(in Instruction instruction) =>
        instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return;
}
