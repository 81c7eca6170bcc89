using System.Diagnostics;
using System.Diagnostics.Tracing;
using System.Runtime.InteropServices;

namespace Dbt.Translator.Diagnostics;

/// <summary>The thread that samples the processors of this process while a session wants it.</summary>
internal sealed unsafe class ProcessorSampler
{
    private const int MostBuffered = 2000;
    private const int PageBytes = 4096;
    private static readonly long FlushAfter = Stopwatch.Frequency / 10, TellAfter = Stopwatch.Frequency, LookAgainAfter = 2 * Stopwatch.Frequency;

    private readonly DbtEventSource _source;
    private readonly Action<ProcessorProbe, Sample> _take;
    private readonly Lock _lock = new();
    private readonly SampleRecord[] _records = new SampleRecord[MostBuffered];
    private readonly Dictionary<uint, (ulong Hash, long At)> _pages = [];
    private Thread? _thread;
    private volatile int _rate;
    private volatile bool _announce;
    private long _bufferAt;
    private int _count;

    public ProcessorSampler(DbtEventSource source)
    {
        _source = source;
        _take = Take;
    }

    /// <summary>Samples so many times a second from now on; 0 for not at all. Called for each session that comes or goes.</summary>
    public void Set(int rate)
    {
        lock (_lock)
        {
            _rate = rate;
            _announce = true;
            if (rate > 0 && _thread is null)
            {
                _thread = new Thread(Work) { IsBackground = true, Name = "dbt-sampler", Priority = ThreadPriority.AboveNormal };
                _thread.Start();
            }
        }
    }

    private void Work()
    {
        long last = Stopwatch.GetTimestamp(), flushed = last, told = 0;
        while (true)
        {
            int rate = _rate;
            if (rate == 0 && End())
            {
                return;
            }

            Thread.Sleep(Math.Max(1, 1000 / Math.Max(rate, 1)));
            if (_announce)
            {
                _announce = false;
                Announce();
            }

            long now = Stopwatch.GetTimestamp();
            uint elapsed = (uint)Math.Min(uint.MaxValue, (now - last) * 1_000_000 / Stopwatch.Frequency);
            last = now;
            ProcessorRegistry.ForEach(probe => probe.Sample(elapsed, _take));
            if (now - flushed >= FlushAfter)
            {
                Flush();
                flushed = now;
            }

            if (now - told >= TellAfter)
            {
                TellTotals();
                told = now;
            }
        }
    }

    private bool End()
    {
        lock (_lock)
        {
            if (_rate != 0)
            {
                return false;
            }

            ProcessorRegistry.ForEach(probe => probe.Abandon());
            _count = 0;
            _thread = null;
            return true;
        }
    }

    /// <summary>A new session knows nothing yet.</summary>
    private void Announce()
    {
        Flush();
        _pages.Clear();
        foreach ((string name, string value) in ProcessorRegistry.Facts())
        {
            _source.Fact(name, value);
        }

        ProcessorRegistry.ForEach(_source.TellProcessor);
        TellTotals();
        _source.TellPlaces();
    }

    private void Take(ProcessorProbe probe, Sample sample)
    {
        if (_count == MostBuffered)
        {
            Flush();
        }

        long now = Environment.TickCount64;
        _bufferAt = _count == 0 ? now : _bufferAt;
        uint frame = SampleRecord.NoFrame;
        if (sample.Page != 0)
        {
            frame = probe.FrameOf(sample.Page);
            ShowPage(frame, sample.Page);
        }

        _records[_count++] = new SampleRecord
        {
            Processor = (ushort)probe.Number,
            Doing = (byte)sample.Doing,
            Cpl = (byte)sample.Cpl,
            Detail = (ushort)sample.Detail,
            Weight = sample.Weight,
            Address = sample.Address,
            Cr3 = sample.Cr3,
            Frame = frame,
            After = (uint)(now - _bufferAt),
        };
    }

    /// <summary>Sends a page's bytes, once; again where the frame holds something else by now.</summary>
    private void ShowPage(uint frame, nint page)
    {
        long now = Stopwatch.GetTimestamp();
        bool known = _pages.TryGetValue(frame, out (ulong Hash, long At) seen);
        if (known && now - seen.At < LookAgainAfter)
        {
            return;
        }

        var bytes = new ReadOnlySpan<byte>((void*)page, PageBytes);
        ulong hash = Hash(bytes);
        _pages[frame] = (hash, now);
        if (!known || hash != seen.Hash)
        {
            Flush();
            _source.Page(frame, bytes.ToArray());
        }
    }

    private static ulong Hash(ReadOnlySpan<byte> bytes)
    {
        // FNV-1a by words: only to see that something changed.
        ulong hash = 14695981039346656037;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(bytes))
        {
            hash = (hash ^ word) * 1099511628211;
        }

        return hash;
    }

    private void Flush()
    {
        if (_count > 0)
        {
            _source.Samples(_bufferAt, MemoryMarshal.AsBytes(_records.AsSpan(0, _count)).ToArray());
            _count = 0;
        }
    }

    private void TellTotals()
    {
        if (!_source.IsEnabled(EventLevel.Informational, DbtEventSource.Keywords.Totals))
        {
            return;
        }

        CounterTotals totals = ProcessorRegistry.Totals();
        foreach ((string reason, long count) in totals.Engines.SideExits)
        {
            _source.Total("exit:" + reason, count);
        }

        foreach ((string name, long count) in totals.Hypercalls)
        {
            _source.Total("hypercall:" + name, count);
        }
    }
}
