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
    private readonly List<HelperCall> _calls = [];
    private readonly List<(int Offset, int Next, ulong Constant)> _references = [];
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
        MachineCode? code = reader.TryFollow() ? reader.Copy() : null;
        refusal = reader.Refusal;
        return code;
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
                return TryCall((nint)((ulong)_function + instruction.NearBranchTarget), (int)instruction.IP + offsets.ImmediateOffset);
            case FlowControl.IndirectCall when instruction.IsIPRelativeMemoryOperand && instruction.Length == IndirectCallBytes:
                _indirectCalls.Add((int)instruction.IP);
                return TryCall(*(nint*)((ulong)_function + instruction.IPRelativeMemoryAddress), (int)instruction.IP + 1);
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
                    _references.Add(((int)instruction.IP + offsets.DisplacementOffset, (int)instruction.NextIP, constant));
                    break;
                case OpKind.Memory when instruction.MemoryBase == Register.None && instruction.MemoryIndex == Register.None:
                    return Refuse("absolute operand");
            }
        }

        return true;
    }

    private bool TryCall(nint target, int offset)
    {
        if (_helpers.NameOf(target) is not { } name)
        {
            return Refuse("call");
        }

        _calls.Add(new HelperCall(offset, name));
        return true;
    }

    private MachineCode Copy()
    {
        // The last byte of constants, each aligned as it was (in 64 bytes).
        var placed = new Dictionary<ulong, int>();
        int length = ((int)_end + 63) & ~63;
        foreach ((ulong constant, int size) in _constants)
        {
            int alignment = (int)((ulong)(_function + constant) & 63);
            length = ((length + 63) & ~63) + alignment;
            placed.Add(constant, length);
            length += size;
        }

        byte[] bytes = new byte[length];
        new ReadOnlySpan<byte>(_function, (int)_end).CopyTo(bytes);
        foreach ((ulong constant, int size) in _constants)
        {
            new ReadOnlySpan<byte>(_function + (long)constant, size).CopyTo(bytes.AsSpan(placed[constant]));
        }

        foreach ((int offset, int next, ulong constant) in _references)
        {
            BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(offset), placed[constant] - next);
        }

        foreach (int call in _indirectCalls)
        {
            // CALL through a cell becomes a direct one; both end where the next instruction is.
            bytes[call] = 0xE8;
            bytes[call + IndirectCallBytes - 1] = 0x90;
        }

        return new MachineCode(bytes, [.. _calls]);
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
