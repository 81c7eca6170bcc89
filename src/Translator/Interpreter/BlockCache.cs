using System.Collections.Concurrent;
using Dbt.Translator.State;

namespace Dbt.Translator.Interpretation;

/// <summary>
/// The interpreter's decoded blocks, by (host address, EIP, mode). Since the key is the machine address, remapping a page needs
/// no flush; writes into code come through <see cref="CodeMap.CodeWritten"/>.
/// </summary>
internal sealed unsafe class BlockCache : IDisposable
{
    private const int Buckets = 1 << 16;

    /// <summary>A guest that keeps making new code makes the cache start afresh at this many blocks.</summary>
    private const int MaxBlocks = 1 << 17;

    private readonly DecodedBlock?[] _buckets = new DecodedBlock?[Buckets];
    private readonly Dictionary<uint, List<DecodedBlock>> _frames = [];
    private readonly ConcurrentQueue<(uint Frame, int Offset, int Length)> _remote = new();
    private readonly Platform _platform;
    private readonly CodeMap _codeMap;
    private readonly CpuState* _cpu;
    private int _count;
    private int _thread;

    public BlockCache(Platform platform, CpuState* cpu)
    {
        _platform = platform;
        _codeMap = platform.CodeMap;
        _cpu = cpu;
        _codeMap.CodeWritten += OnWritten;
    }

    /// <summary>Blocks dropped because their code was written.</summary>
    public long Invalidations { get; private set; }

    /// <summary>Makes the calling thread the one that may use the cache.</summary>
    public void Own() => _thread = Environment.CurrentManagedThreadId;

    /// <summary>A block, or null.</summary>
    public DecodedBlock? Find(byte* host, uint eip, CpuMode mode)
    {
        for (DecodedBlock? block = _buckets[Bucket(host)]; block != null; block = block.Chain)
        {
            if (block.Host == host && block.Eip == eip && block.Mode == mode)
            {
                return block;
            }
        }

        return null;
    }

    /// <summary>Whether it is time to start afresh.</summary>
    public bool IsFull => _count >= MaxBlocks;

    /// <summary>Before the bytes at a host address are decoded: writes to their frame are announced from now on.</summary>
    public void Hold(byte* host)
    {
        uint frame = Frame(host);
        if (_frames.TryAdd(frame, []))
        {
            _codeMap.Hold(frame);
            _platform.ProtectCode(frame);
        }
    }

    /// <summary>Keeps a block of a frame that is held; not where the frame was written meanwhile.</summary>
    public void Add(DecodedBlock block)
    {
        if (!_frames.TryGetValue(Frame(block.Host), out List<DecodedBlock>? blocks))
        {
            // Nobody will tell it of writes, so no other block may lead to it.
            block.Valid = false;
            return;
        }

        ref DecodedBlock? bucket = ref _buckets[Bucket(block.Host)];
        block.Chain = bucket;
        bucket = block;
        _count++;
        blocks.Add(block);
    }

    /// <summary>Carries out what other threads wrote. Called when Attention was raised.</summary>
    public void TakeRemoteWrites()
    {
        while (_remote.TryDequeue(out (uint Frame, int Offset, int Length) write))
        {
            Invalidate(write.Frame, write.Offset, write.Length);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _codeMap.CodeWritten -= OnWritten;
        Clear();
    }

    private static int Bucket(byte* host) => (int)(((ulong)host ^ ((ulong)host >> 13)) & (Buckets - 1));

    private uint Frame(byte* host) => (uint)((ulong)(host - _cpu->MemoryBase) >> 12);

    private void OnWritten(uint frame, int offset, int length)
    {
        if (Environment.CurrentManagedThreadId == _thread)
        {
            Invalidate(frame, offset, length);
            return;
        }

        _remote.Enqueue((frame, offset, length));
        _cpu->Attention = 1;
    }

    private void Invalidate(uint frame, int offset, int length)
    {
        if (!_frames.TryGetValue(frame, out List<DecodedBlock>? blocks))
        {
            return;
        }

        for (int i = blocks.Count - 1; i >= 0; i--)
        {
            DecodedBlock block = blocks[i];
            int start = (int)((ulong)block.Host & 0xFFF);
            if (start < offset + length && offset < start + block.Length)
            {
                blocks[i] = blocks[^1];
                blocks.RemoveAt(blocks.Count - 1);
                Drop(block);
            }
        }

        if (blocks.Count == 0)
        {
            _frames.Remove(frame);
            _codeMap.Release(frame);
        }
    }

    private void Drop(DecodedBlock block)
    {
        ref DecodedBlock? bucket = ref _buckets[Bucket(block.Host)];
        if (bucket == block)
        {
            bucket = block.Chain;
        }
        else
        {
            DecodedBlock? previous = bucket;
            while (previous != null && previous.Chain != block)
            {
                previous = previous.Chain;
            }

            if (previous != null)
            {
                previous.Chain = block.Chain;
            }
        }

        Retire(block);
        Invalidations++;
        _count--;
    }

    /// <summary>Forgets all blocks.</summary>
    public void Clear()
    {
        foreach ((uint frame, List<DecodedBlock> blocks) in _frames)
        {
            blocks.ForEach(Retire);
            _codeMap.Release(frame);
        }

        _frames.Clear();
        Array.Clear(_buckets);
        _count = 0;
    }

    private static void Retire(DecodedBlock block)
    {
        block.Valid = false;
        block.Chain = null;
    }
}
