using System.Buffers.Binary;
using Iced.Intel;

namespace Dbt.Translator.Cache;

/// <summary>
/// Takes the code of a function out of the runtime's memory: all that can be reached from its first byte, and the constants that it reads.
/// Whatever in it might refer to this process makes it unusable; what is not understood does too.
/// </summary>
internal sealed unsafe class MachineCodeReader
{
    private const ulong MostBytes = 1 << 18;
    private const int IndirectCallBytes = 6;

    // RyuJIT's constants are in one piece of memory with the code; further away is what changes.
    private const long FurthestConstant = 16 << 10;

    // No process has anything below, and constants of the guest's are 32 bits wide; above are addresses that programs don't have.
    private const ulong FirstAddress = 1UL << 32, LastAddress = 1UL << 47;

    private readonly byte* _function;
    private readonly SortedDictionary<ulong, Instruction> _instructions = [];
    private readonly SortedDictionary<ulong, int> _constants = [];
    private readonly List<(ulong Instruction, string Helper)> _calls = [];
    private readonly List<(ulong Instruction, int Displacement, int Length, ulong Constant)> _references = [];
    private readonly List<int> _indirectCalls = [];
    private readonly HostHelpers _helpers;
    private ulong _end;

    private MachineCodeReader(nint function, HostHelpers helpers)
    {
        _function = (byte*)function;
        _helpers = helpers;
    }

    /// <summary>Why it could not be taken.</summary>
    private string? Refusal { get; set; }

    /// <summary>Takes a function's code.</summary>
    /// <param name="function">The first byte. It must stay alive meanwhile.</param>
    /// <param name="helpers">What it may call.</param>
    /// <param name="refusal">What is in the way, where the result is null.</param>
    public static MachineCode? Read(nint function, HostHelpers helpers, out string? refusal)
    {
        var reader = new MachineCodeReader(function, helpers);
        MachineCode? code = reader.TryFollow() ? reader.Copy(null, []) : null;
        refusal = reader.Refusal;
        return code;
    }

    /// <summary>The same of a region, without saving the host's registers: to be called by <see cref="RegionEntry"/>.</summary>
    /// <param name="function">The first byte. It must stay alive meanwhile.</param>
    /// <param name="helpers">What it may call.</param>
    public static MachineCode? ReadRegion(nint function, HostHelpers helpers)
    {
        var reader = new MachineCodeReader(function, helpers);
        return reader.TryFollow() ? reader.Copy(null, reader.Improve()) : null;
    }

    /// <summary>The same of a region that reaches memory by the address window: <see cref="WindowAccesses"/>.</summary>
    /// <param name="function">The first byte. It must stay alive meanwhile.</param>
    /// <param name="helpers">What it may call.</param>
    /// <param name="refused">Exit codes of the accesses that must be checked for it to be of use, where the result is null.</param>
    public static MachineCode? ReadWindowed(nint function, HostHelpers helpers, out IReadOnlySet<int> refused)
    {
        var reader = new MachineCodeReader(function, helpers);
        var accesses = new WindowAccesses(reader._instructions);
        refused = accesses.Refused;
        if (!reader.TryFollow())
        {
            return null;
        }

        Dictionary<ulong, byte[]> replaced = reader.Improve();
        return accesses.TryFree() ? reader.Copy(accesses, replaced) : null;
    }

    /// <summary>Leaves out what a region has no need of.</summary>
    /// <returns>What stands in an instruction's place.</returns>
    private Dictionary<ulong, byte[]> Improve()
    {
        Dictionary<ulong, byte[]> replaced = MachineMoves.Remove(_instructions);
        foreach ((ulong instruction, byte[] bytes) in MachineFrame.Read(_instructions)?.Replaced ?? [])
        {
            replaced[instruction] = bytes;
        }

        return replaced;
    }

    private bool TryFollow()
    {
        var bytes = new Bytes();
        var decoder = Decoder.Create(64, bytes);
        var open = new Stack<ulong>([0]);
        while (open.TryPop(out ulong at))
        {
            while (!_instructions.ContainsKey(at))
            {
                if (at >= MostBytes)
                {
                    return Refuse("jump out of it");
                }

                bytes.At = _function + at;
                decoder.IP = at;
                decoder.Decode(out Instruction instruction);
                if (instruction.IsInvalid)
                {
                    return Refuse("no instruction");
                }

                if (!TryTake(instruction, decoder.GetConstantOffsets(instruction)))
                {
                    return false;
                }

                _instructions.Add(at, instruction);
                _end = Math.Max(_end, instruction.NextIP);
                if (instruction.FlowControl is FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch)
                {
                    open.Push(instruction.NearBranchTarget);
                }

                if (instruction.FlowControl is FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Return)
                {
                    break;
                }

                at = instruction.NextIP;
            }
        }

        return _constants.All(constant => IsConstant(constant.Key, constant.Value)) || Refuse("no constant");
    }

    /// <summary>Whether what is read there can be taken for a constant: it lies with the code, and holds no address.</summary>
    private bool IsConstant(ulong at, int size)
    {
        long distance = (long)at;
        if (distance < -FurthestConstant || distance > (long)_end + FurthestConstant)
        {
            return false;
        }

        for (int offset = 0; offset + sizeof(ulong) <= size; offset += sizeof(ulong))
        {
            if (*(ulong*)(_function + distance + offset) is >= FirstAddress and < LastAddress)
            {
                return false;
            }
        }

        return true;
    }

    private bool TryTake(in Instruction instruction, in ConstantOffsets offsets)
    {
        switch (instruction.FlowControl)
        {
            case FlowControl.Next or FlowControl.ConditionalBranch or FlowControl.UnconditionalBranch or FlowControl.Return:
                break;
            case FlowControl.IndirectBranch when instruction.Op0Kind == OpKind.Register || !instruction.IsIPRelativeMemoryOperand:
                break;
            case FlowControl.Call when instruction.Op0Kind == OpKind.NearBranch64:
                return TryCall((nint)((ulong)_function + instruction.NearBranchTarget), instruction.IP);
            case FlowControl.IndirectCall when instruction.IsIPRelativeMemoryOperand && instruction.Length == IndirectCallBytes:
                _indirectCalls.Add((int)instruction.IP);
                return TryCall(*(nint*)((ulong)_function + instruction.IPRelativeMemoryAddress), instruction.IP);
            case FlowControl.IndirectCall when instruction.Op0Kind == OpKind.Register || !instruction.IsIPRelativeMemoryOperand:
                break;
            default:
                return Refuse(instruction.Mnemonic.ToString());
        }

        for (int operand = 0; operand < instruction.OpCount; operand++)
        {
            switch (instruction.GetOpKind(operand))
            {
                case OpKind.Immediate64 when instruction.Immediate64 is >= FirstAddress and < LastAddress:
                    return Refuse("address");
                case OpKind.Memory when instruction.SegmentPrefix is Register.FS or Register.GS:
                    return Refuse("thread storage");
                case OpKind.Memory when instruction.IsIPRelativeMemoryOperand:
                    if (instruction.Mnemonic == Mnemonic.Lea)
                    {
                        return Refuse("jump table");
                    }

                    int size = Math.Max(instruction.MemorySize.GetSize(), 1);
                    ulong constant = instruction.IPRelativeMemoryAddress;
                    _constants[constant] = Math.Max(size, _constants.GetValueOrDefault(constant));
                    _references.Add((instruction.IP, offsets.DisplacementOffset, instruction.Length, constant));
                    break;
                case OpKind.Memory when instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None:
                    return Refuse("absolute operand");
            }
        }

        return true;
    }

    private bool TryCall(nint target, ulong instruction)
    {
        if (_helpers.NameOf(target) is not { } name)
        {
            return Refuse("call");
        }

        _calls.Add((instruction, name));
        return true;
    }

    /// <summary>Puts the instructions behind each other, and the constants behind them, each aligned as it was (in 64 bytes).</summary>
    /// <param name="accesses">What is left out; null for nothing.</param>
    /// <param name="replaced">What stands in an instruction's place.</param>
    private MachineCode Copy(WindowAccesses? accesses, Dictionary<ulong, byte[]> replaced)
    {
        var layout = new CodeLayout(_function, _instructions, accesses, replaced);
        var placed = new Dictionary<ulong, int>();
        int length = layout.Length;
        foreach ((ulong constant, int size) in _constants)
        {
            int alignment = (int)((ulong)(_function + constant) & 63);
            length = ((length + 63) & ~63) + alignment;
            placed.Add(constant, length);
            length += size;
        }

        byte[] bytes = new byte[length];
        layout.CopyTo(bytes);
        foreach ((ulong constant, int size) in _constants)
        {
            new ReadOnlySpan<byte>(_function + (long)constant, size).CopyTo(bytes.AsSpan(placed[constant]));
        }

        foreach ((ulong instruction, int displacement, int size, ulong constant) in _references)
        {
            int at = layout.At(instruction);
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(at + displacement), placed[constant] - (at + size));
        }

        foreach (int call in _indirectCalls)
        {
            // CALL through a cell becomes a direct one; both end where the next instruction is.
            int at = layout.At((ulong)call);
            bytes[at] = 0xE8;
            bytes[at + IndirectCallBytes - 1] = 0x90;
        }

        // The displacement is what follows the opcode.
        return new MachineCode(bytes, [.. _calls.Select(call => new HelperCall(layout.At(call.Instruction) + 1, call.Helper))])
        {
            Accesses = accesses is null ? [] : [.. accesses.Freed.Select(pair => new WindowAccess(layout.At(pair.Key), layout.At(pair.Value)))],
        };
    }

    private bool Refuse(string reason)
    {
        Refusal = reason;
        return false;
    }

    private sealed class Bytes : CodeReader
    {
        public byte* At { get; set; }

        public override int ReadByte() => *At++;
    }
}
