using Dbt.Translator.Diagnostics;
using Dbt.Translator.Emit;
using Dbt.Translator.Interpretation;
using Dbt.Translator.State;

namespace Dbt.Translator.Cache;

/// <summary>
/// The blocks and translations of one engine, and what of them depends on which bytes of which frame. Everything here runs on
/// the processor's thread.
/// </summary>
internal sealed unsafe class CodeCache(Platform platform, CpuState* cpu, InstancePool instances, JumpTable jumps, int rewritesUntilCool)
{
    // A frame whose code is overwritten too often is interpreted for so many blocks: its translations would not live to pay.
    private const long CoolBlocks = 200_000;

    private readonly Dictionary<(nint Host, uint Eip, CpuMode Mode), CodeBlock> _blocks = [];
    private readonly Dictionary<uint, FrameCode> _frames = [];
    private readonly List<object> _found = [];
    private readonly List<uint> _touched = [];
    private readonly byte* _memory = cpu->MemoryBase;

    /// <summary>Blocks and regions thrown away because their code was written.</summary>
    public long Invalidations { get; private set; }

    /// <summary>All blocks known.</summary>
    public IEnumerable<CodeBlock> Blocks => _blocks.Values;

    /// <summary>Blocks known.</summary>
    public int BlockCount => _blocks.Count;

    /// <summary>Translations that may run.</summary>
    public int Installed { get; private set; }

    /// <summary>Length of their IL.</summary>
    public long InstalledIlBytes { get; private set; }

    /// <summary>Blocks executed by the interpreter, as a clock.</summary>
    public long Clock { get; set; }

    /// <summary>Goes up whenever blocks are forgotten: what others remember of them is void.</summary>
    public int Generation { get; private set; }

    /// <summary>The block of a key, made where there is none.</summary>
    public CodeBlock Get(nint host, uint eip, CpuMode mode)
    {
        ref CodeBlock? block = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_blocks, (host, eip, mode), out _);
        return block ??= new CodeBlock(host, eip, mode);
    }

    /// <summary>The block of a key, if there is one.</summary>
    public CodeBlock? Find(nint host, uint eip, CpuMode mode) => _blocks.GetValueOrDefault((host, eip, mode));

    /// <summary>Makes writes to the frame of a host address noticed from now on. To be called before its bytes are read.</summary>
    public void Protect(nint host) => Hold(FrameOf(host));

    /// <summary>Whether code in the frame of a host address may be translated, rather than being rewritten all the time.</summary>
    public bool IsWorthTranslating(nint host) =>
        !_frames.TryGetValue(FrameOf(host), out FrameCode? frame) || frame.CoolUntil <= Clock;

    /// <summary>Enters the interpreter's form of a block.</summary>
    public void SetDecoded(CodeBlock block, DecodedBlock decoded)
    {
        block.Decoded = decoded;
        int offset = (int)(block.Host & 0xFFF);
        Hold(FrameOf(block.Host)).Add(offset, offset + decoded.Length, block);
    }

    /// <summary>Forgets the interpreter's form of a block.</summary>
    public void ForgetDecoded(CodeBlock block)
    {
        if (Void(block))
        {
            Hold(FrameOf(block.Host)).Remove(block);
        }
    }

    /// <summary>Forgets the interpreter's form of all blocks.</summary>
    public void ForgetAllDecoded()
    {
        foreach (CodeBlock block in _blocks.Values)
        {
            Void(block);
        }

        foreach ((uint number, FrameCode frame) in _frames)
        {
            frame.RemoveVoid();
            _touched.Add(number);
        }

        ReleaseEmpty();
    }

    /// <summary>Enters what a translation, compiled or not, is made from. Writes are noticed from then on.</summary>
    public void Track(Translation translation)
    {
        foreach (ShapeBlock block in translation.Shape.Blocks)
        {
            for (uint start = block.Start, left = (uint)block.Length; left != 0;)
            {
                uint piece = Math.Min(left, 4096 - (start & 0xFFF));
                uint frame = FrameOf(translation.HostOf(start));
                int offset = (int)(start & 0xFFF);
                Hold(frame).Add(offset, offset + (int)piece, translation);
                if (!translation.Frames.Contains(frame))
                {
                    translation.Frames.Add(frame);
                }

                start += piece;
                left -= piece;
            }
        }
    }

    /// <summary>Lets a compiled translation run from its entries.</summary>
    public void Install(Translation translation, List<CodeBlock> entries, int counter)
    {
        instances.Add(translation, counter);
        translation.Installed = true;
        Installed++;
        InstalledIlBytes += translation.Code!.IlBytes;
        DbtEventSource.Log.TellPlace(translation);
        foreach (CodeBlock block in entries)
        {
            if (translation.Optimized)
            {
                block.Region = translation;
            }
            else
            {
                block.Quick = translation;
            }

            translation.Entries.Add(block);
            block.Refresh();
            jumps.Set(block);
        }
    }

    /// <summary>Ends a translation: nothing leads to it any more.</summary>
    public void Drop(Translation translation)
    {
        if (translation.Dropped)
        {
            return;
        }

        translation.Dropped = true;
        foreach (uint frame in translation.Frames)
        {
            _frames[frame].Remove(translation);
            _touched.Add(frame);
        }

        foreach (CodeBlock block in translation.Entries)
        {
            block.Region = block.Region == translation ? null : block.Region;
            block.Quick = block.Quick == translation ? null : block.Quick;
            block.Executions = 0;
            block.NextLookUp = 0;
            block.Refresh();
            jumps.Remove(block);
        }

        // One that is not installed yet is with the compiler, or behind it in the queue: it has no instance.
        if (translation.Installed)
        {
            Installed--;
            InstalledIlBytes -= translation.Code!.IlBytes;
            instances.Free(translation);
        }
    }

    /// <summary>Drops all that was made from the bytes of a range, which were written.</summary>
    /// <returns>Whether there was anything.</returns>
    public bool Invalidate(uint frameNumber, int offset, int length)
    {
        if (!_frames.TryGetValue(frameNumber, out FrameCode? frame))
        {
            return false;
        }

        _touched.Add(frameNumber);
        _found.Clear();
        frame.Overlapping(offset, offset + length, _found);
        if (_found.Count == 0)
        {
            ReleaseEmpty();
            return false;
        }

        Invalidations += DropUnits(frame);
        if (++frame.Drops >= rewritesUntilCool)
        {
            frame.Drops = 0;
            frame.CoolUntil = Clock + CoolBlocks;
        }

        ReleaseEmpty();
        return true;
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        foreach ((uint number, FrameCode frame) in _frames)
        {
            _touched.Add(number);
            _found.Clear();
            frame.All(_found);
            DropUnits(frame);
        }

        ReleaseEmpty();
        foreach (CodeBlock block in _blocks.Values)
        {
            jumps.Remove(block);
        }

        _blocks.Clear();
        Generation++;
    }

    /// <returns>How many there were.</returns>
    private int DropUnits(FrameCode frame)
    {
        int dropped = 0;
        foreach (object unit in _found)
        {
            if (unit is Translation translation)
            {
                dropped += translation.Dropped ? 0 : 1;
                Drop(translation);
                continue;
            }

            var block = (CodeBlock)unit;
            dropped += Void(block) ? 1 : 0;
            block.Executions = 0;
            block.NextLookUp = 0;
            block.Untranslatable = 0;
        }

        _found.Clear();
        frame.RemoveVoid();
        return dropped;
    }

    // Other blocks may lead to it, and nobody would tell it of a write any more.
    private static bool Void(CodeBlock block)
    {
        if (block.Decoded is not { } decoded)
        {
            return false;
        }

        decoded.Valid = false;
        block.Decoded = null;
        return true;
    }

    private void ReleaseEmpty()
    {
        foreach (uint number in _touched)
        {
            if (_frames.TryGetValue(number, out FrameCode? frame) && frame.Held && frame.IsEmpty)
            {
                frame.Held = false;
                platform.CodeMap.Release(number);
            }
        }

        _touched.Clear();
    }

    private FrameCode Hold(uint number)
    {
        if (!_frames.TryGetValue(number, out FrameCode? frame))
        {
            frame = new FrameCode();
            _frames.Add(number, frame);
        }

        if (!frame.Held)
        {
            frame.Held = true;
            platform.CodeMap.Hold(number);
            platform.ProtectCode(number);
        }

        return frame;
    }

    private uint FrameOf(nint host) => (uint)((ulong)((byte*)host - _memory) >> 12);
}
